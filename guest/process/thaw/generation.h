// The number by which the guest knows that it is a copy (vmgenid).
#pragma once

void set_generation(void);
