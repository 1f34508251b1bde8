// What this machine can do, measured.
#ifndef TENON_RUNTIME_CLI_MACHINE_H
#define TENON_RUNTIME_CLI_MACHINE_H

#include "Costs.h"

namespace tenon::runtime {

/// Multiply-adds in f32 on registers by `threads` threads at once, 10^9
/// operations a second (a multiply-add is two). Takes 0.2 s.
double measureF32Peak(int threads);

/// The same of pairs of bf16 and of groups of four bytes; 0 without an
/// instruction for it.
double measureBf16Peak(int threads);
double measureInt8Peak(int threads);

/// Bytes read in order from memory that fits no cache by `threads` threads,
/// 10^9 a second. Takes 0.5 s.
double measureReadRate(int threads);

/// The same from a part of the cache of each core.
double measureCacheRate(int threads);

/// Bytes of the cache of one core.
double cacheBytes();

/// Microseconds that a launch on all threads takes beside its work.
double measureLaunch(int threads);

/// All of these for `threads` threads. Takes about two seconds.
Limits measureLimits(int threads);

/// Of the facts file that the artifact was compiled for; else measured, since
/// the facts that come with Tenon are on the careful side. None for an artifact
/// that does not say that it is for a CPU.
std::optional<Limits> chooseLimits(const Description &description, int threads);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_CLI_MACHINE_H
