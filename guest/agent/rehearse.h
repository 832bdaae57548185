// Does what a set-up and a start will do, in name spaces that go away: an emulator then has translated it.
#pragma once
void rehearse(void);
