// What the processor of this machine can do.
#ifndef TENON_RUNTIME_PROCESSOR_H
#define TENON_RUNTIME_PROCESSOR_H

#include <cstdint>
#include <string>

namespace tenon::runtime {

/// The bits of TN_X86_FEATURES that this machine has; 0 where it is no x86-64.
uint64_t processorFeatures();

/// What of `needed` this process may use. Asks the system for the registers of
/// AMX where they are needed: Linux gives those only to a process that asks.
uint64_t usableFeatures(uint64_t needed);

/// The names of the features that are in `needed` and not in `present`, with
/// commas between; "" where there is none.
std::string missingFeatures(uint64_t needed, uint64_t present);

} // namespace tenon::runtime

#endif // TENON_RUNTIME_PROCESSOR_H
