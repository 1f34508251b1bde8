// RUN: tenon-opt %s --plan-assign-offsets --split-input-file --verify-diagnostics | FileCheck %s

func.func private @copy(memref<?xf32>, memref<?xf32>, index, index) attributes {tenon.kernel}

// Three in a chain: the last takes the place of the first.
// CHECK-LABEL: func.func @chain
// CHECK-SAME:    tenon.arena_hint_bytes = 128 : i64, tenon.arena_lower_bound = 128 : i64
// CHECK:         plan.alloc 1 below [0] {{.*}}tenon.alive = array<i64: 3, 3>
// CHECK:         plan.alloc 0 below [] {{.*}}tenon.alive = array<i64: 3, 5>
// CHECK:         plan.launch {{.*}}tenon.step = 3
// CHECK:         plan.alloc 2 below [0] {{.*}}tenon.alive = array<i64: 5, 5>
// CHECK:         plan.launch {{.*}}tenon.step = 5
func.func @chain() {
  %n = plan.symbol "n" range 1 to 512 hint 16
  %0 = plan.alloc sizes(%n) : memref<?xf32>
  %1 = plan.alloc sizes(%n) : memref<?xf32>
  plan.launch @copy grid(%n) buffers(%0, %1 : memref<?xf32>, memref<?xf32>) indices()
  %2 = plan.alloc sizes(%n) : memref<?xf32>
  plan.launch @copy grid(%n) buffers(%1, %2 : memref<?xf32>, memref<?xf32>) indices()
  return
}

// All launches of a section run at one step: %2, which nothing reads, lies apart
// from what the other reads and writes.
// CHECK-LABEL: func.func @section
// CHECK-SAME:    tenon.arena_hint_bytes = 256 : i64, tenon.arena_lower_bound = 256 : i64
// CHECK-COUNT-4: plan.alloc {{.*}}tenon.alive = array<i64: {{[0-9]+}}, 6>
// CHECK:         plan.section
// CHECK-NEXT:      plan.launch {{.*}}tenon.step = 6
// CHECK-NEXT:      plan.launch {{.*}}tenon.step = 6
// CHECK:         plan.copy {{.*}}tenon.step = 7
func.func @section(%x: memref<?xf32>) {
  %n = plan.symbol "n" range 1 to 512 hint 16
  %0 = plan.alloc sizes(%n) : memref<?xf32>
  %1 = plan.alloc sizes(%n) : memref<?xf32>
  %2 = plan.alloc sizes(%n) : memref<?xf32>
  %3 = plan.alloc sizes(%n) : memref<?xf32>
  plan.launch @copy grid(%n) buffers(%x, %0 : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  plan.section {
    plan.launch @copy grid(%n) buffers(%0, %2 : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
    plan.launch @copy grid(%n) buffers(%1, %3 : memref<?xf32>, memref<?xf32>) indices() {tenon.results = 1}
  }
  plan.copy %x, %x : memref<?xf32>, memref<?xf32>
  return
}

// What copies and what the host reads have their steps too.
// CHECK-LABEL: func.func @copied
// CHECK:         plan.copy {{.*}}tenon.step = 0
// CHECK:         plan.read {{.*}}tenon.step = 1
func.func @copied(%x: memref<i1>, %y: memref<i1> {tenon.output}) {
  plan.copy %x, %y : memref<i1>, memref<i1>
  %0 = plan.read %x : memref<i1> -> i1
  return
}

// A view keeps its buffer alive, so nothing may take the first one's place.
// Without a hint, the size is 128: 512 bytes, and 576 for the one of n + 16.
// CHECK-LABEL: func.func @view
// CHECK-SAME:    tenon.arena_hint_bytes = 1600 : i64, tenon.arena_lower_bound = 1600 : i64
func.func @view() {
  %n = plan.symbol "n" range 0 to 512
  %c16 = arith.constant 16 : index
  %m = arith.addi %n, %c16 : index
  %0 = plan.alloc sizes(%n) : memref<?xf32>
  %1 = plan.alloc sizes(%n) : memref<?xf32>
  %v = plan.view %0 sizes(%n) : memref<?xf32> -> memref<?xf32>
  plan.launch @copy grid(%n) buffers(%0, %1 : memref<?xf32>, memref<?xf32>) indices()
  %2 = plan.alloc sizes(%m) : memref<?xf32>
  plan.launch @copy grid(%n) buffers(%1, %2 : memref<?xf32>, memref<?xf32>) indices()
  plan.launch @copy grid(%n) buffers(%v, %2 : memref<?xf32>, memref<?xf32>) indices()
  return
}

// Without a hint, 128 is clamped to the range.
// CHECK-LABEL: func.func @clamped
// CHECK-SAME:    tenon.arena_hint_bytes = 64 : i64
func.func @clamped() {
  %n = plan.symbol "n" range 1 to 4
  %0 = plan.alloc sizes(%n) : memref<?xf32>
  return
}

// The branches share their place; what both of them write has its own.
// CHECK-LABEL: func.func @branches
// CHECK-SAME:    tenon.arena_hint_bytes = 192 : i64, tenon.arena_lower_bound = 192 : i64
func.func @branches(%c: i1) {
  %n = plan.symbol "n" range 1 to 512 hint 16
  %result = plan.alloc sizes(%n) : memref<?xf32>
  %0 = plan.alloc sizes(%n) : memref<?xf32>
  %1 = plan.alloc sizes(%n) : memref<?xf32>
  %2 = plan.alloc sizes(%n) : memref<?xf32>
  %3 = plan.alloc sizes(%n) : memref<?xf32>
  scf.if %c {
    plan.launch @copy grid(%n) buffers(%0, %1 : memref<?xf32>, memref<?xf32>) indices()
    plan.copy %1, %result : memref<?xf32>, memref<?xf32>
  } else {
    plan.launch @copy grid(%n) buffers(%2, %3 : memref<?xf32>, memref<?xf32>) indices()
    plan.copy %3, %result : memref<?xf32>, memref<?xf32>
  }
  return
}

// The carried value and what the loop reads from before it live through every
// iteration; the three in a chain of the body share two places.
// CHECK-LABEL: func.func @loop
// CHECK-SAME:    tenon.arena_hint_bytes = 256 : i64, tenon.arena_lower_bound = 256 : i64
// CHECK:         %[[CARRIED:.*]] = plan.alloc {{[0-9]}} below [{{[0-9, ]*}}] sizes(%{{.*}}) {tenon.alive = array<i64: [[FIRST:[0-9]+]], [[LAST:[0-9]+]]>}
// CHECK-NEXT:    plan.alloc {{.*}} {tenon.alive = array<i64: {{[0-9]+}}, [[LAST]]>}
// CHECK-NOT:     tenon.alive = array<i64: {{[0-9]+}}, [[LAST]]>
// CHECK:         scf.while
func.func @loop(%input: memref<?xf32>) {
  %n = plan.symbol "n" range 1 to 512 hint 16
  %carried = plan.alloc sizes(%n) : memref<?xf32>
  %before = plan.alloc sizes(%n) : memref<?xf32>
  %0 = plan.alloc sizes(%n) : memref<?xf32>
  %1 = plan.alloc sizes(%n) : memref<?xf32>
  %2 = plan.alloc sizes(%n) : memref<?xf32>
  plan.launch @copy grid(%n) buffers(%input, %before : memref<?xf32>, memref<?xf32>) indices()
  plan.copy %input, %carried : memref<?xf32>, memref<?xf32>
  scf.while : () -> () {
    %keep = arith.constant true
    scf.condition(%keep)
  } do {
    plan.launch @copy grid(%n) buffers(%before, %0 : memref<?xf32>, memref<?xf32>) indices()
    plan.launch @copy grid(%n) buffers(%0, %1 : memref<?xf32>, memref<?xf32>) indices()
    plan.launch @copy grid(%n) buffers(%1, %2 : memref<?xf32>, memref<?xf32>) indices()
    plan.copy %2, %carried : memref<?xf32>, memref<?xf32>
    scf.yield
  }
  return
}

// CHECK-LABEL: func.func @kernel
// CHECK-NOT:     arena
func.func @kernel(%begin: index, %end: index) attributes {tenon.kernel} {
  return
}

// -----

func.func @size_from_nowhere(%n: index) {
  // expected-error@-1 {{a size must be an expression over symbols, but is an argument}}
  %0 = plan.alloc sizes(%n) : memref<?xf32>
  return
}

// -----

func.func @nested(%c: i1) {
  scf.if %c {
    // expected-error@+1 {{lies in a nested region; only slices of the function's own block have offsets}}
    %0 = plan.alloc sizes() : memref<4xf32>
  }
  return
}

// -----

func.func @undefined_size() {
  %n = plan.symbol "n" range 0 to 512
  %c0 = arith.constant 0 : index
  // expected-error@+1 {{is part of a size, but has no value at the hinted sizes}}
  %size = arith.divui %n, %c0 : index
  %0 = plan.alloc sizes(%size) : memref<?xf32>
  return
}

// -----

// It folds, but to no number.
func.func @poisoned_size() {
  %n = plan.symbol "n" range 0 to 512
  %c64 = arith.constant 64 : index
  // expected-error@+1 {{is part of a size, but has no value at the hinted sizes}}
  %size = arith.shli %n, %c64 : index
  %0 = plan.alloc sizes(%size) : memref<?xf32>
  return
}
