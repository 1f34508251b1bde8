// RUN: not tenon-opt %s --tenon-emit=target=vax 2>&1 | FileCheck %s
// RUN: not tenon-opt %s --kernel-schedule-regions=target=vax 2>&1 | FileCheck %s
// RUN: not tenon compile %s -o %t --target=vax 2>&1 | FileCheck %s
// RUN: tenon-opt %s --kernel-schedule-regions=target=cpu

// CHECK: there is no target 'vax'; there are cpu, x86-64-v3, alderlake, x86-64-v4
module {
}
