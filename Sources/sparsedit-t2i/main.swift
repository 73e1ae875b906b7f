import Glibc

// Signals first: threads that start later inherit the mask, so that one thread alone receives them.
let interruption = Interruption()
exit(Program(interruption: interruption).run())
