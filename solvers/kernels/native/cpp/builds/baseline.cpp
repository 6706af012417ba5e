// The library for one instruction set, see setup.py: a file of its own, so that builds have object files of their own.
#include "../step.cpp"
