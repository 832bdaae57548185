// What a thread stands on until it has its own stack again.
#pragma once

#define STACK 16384
