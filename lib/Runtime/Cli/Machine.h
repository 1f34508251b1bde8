// What this machine can do, measured.
#ifndef TENON_RUNTIME_CLI_MACHINE_H
#define TENON_RUNTIME_CLI_MACHINE_H

namespace tenon::runtime {

/// Multiply-adds in f32 on registers by `threads` threads at once, 10^9
/// operations a second (a multiply-add is two). Takes 0.2 s.
double measureF32Peak(int threads);

/// Bytes read in order from memory that fits no cache by `threads` threads,
/// 10^9 a second. Takes 0.5 s.
double measureReadRate(int threads);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_MACHINE_H
