// RUN: tenon-opt %s --kernel-schedule-regions="target=nvidia" --split-input-file --verify-diagnostics | FileCheck %s

// A thread for each element; those behind the last do nothing.
// CHECK-LABEL: func @elementwise
// CHECK:         kernel.region "neg" {{.*}} schedule <"thread-loops", tile = [128], vector = 128>
// CHECK:           gpu.thread_id x
// CHECK:           arith.cmpi slt
// CHECK:           scf.if
// CHECK:             arith.negf %{{.*}} : f32
func.func @elementwise(%x: tensor<?x100xf32>, %n: index) -> tensor<?x100xf32> {
  %0 = kernel.region "neg" inputs(%x : tensor<?x100xf32>) indices() sizes(%n) -> tensor<?x100xf32> {
  ^bb0(%a: tensor<?x100xf32>):
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<?x100xf32>) outs(%a : tensor<?x100xf32>) {
    ^bb0(%b: f32, %o: f32):
      %2 = arith.negf %b : f32
      linalg.yield %2 : f32
    } -> tensor<?x100xf32>
    kernel.yield %1 : tensor<?x100xf32>
  }
  return %0 : tensor<?x100xf32>
}

// -----

// Four rows a block, a warp each: its lanes join what they found by shuffles.
// CHECK-LABEL: func @softmax
// CHECK:         kernel.region "softmax" {{.*}} schedule <"warp-row", tile = [4], vector = 32>
// CHECK-COUNT-10:  gpu.shuffle xor
// CHECK-NOT:       gpu.shuffle
// CHECK:           math.exp %{{.*}} : f32
func.func @softmax(%x: tensor<4x9xf32>) -> tensor<4x9xf32> {
  %0 = kernel.region "softmax" inputs(%x : tensor<4x9xf32>) indices() sizes() -> tensor<4x9xf32> {
  ^bb0(%a: tensor<4x9xf32>):
    %1 = kernel.softmax %a : tensor<4x9xf32> -> tensor<4x9xf32>
    kernel.yield %1 : tensor<4x9xf32>
  }
  return %0 : tensor<4x9xf32>
}

// -----

// Two steps of 16, four parts of 8 columns, three products of halves each; all
// threads wait before they read what others wrote, and before they write anew.
// CHECK-LABEL: func @contract
// CHECK:         kernel.region "matmul" {{.*}} schedule <"tensor-contract", tile = [32, 64, 32], vector = 128>
// CHECK:           memref.alloca() : memref<640xi32, #gpu.address_space<workgroup>>
// CHECK:           arith.truncf %{{.*}} : f32 to bf16
// CHECK:           gpu.barrier
// CHECK-COUNT-24:  nvvm.mma.sync
// CHECK-NOT:       nvvm.mma.sync
// CHECK:           gpu.barrier
func.func @contract(%x: tensor<?x50xf32>, %w: tensor<50x70xf32>, %n: index) -> tensor<?x70xf32> {
  %0 = kernel.region "matmul" inputs(%x, %w : tensor<?x50xf32>, tensor<50x70xf32>) indices() sizes(%n) -> tensor<?x70xf32> {
  ^bb0(%a: tensor<?x50xf32>, %b: tensor<50x70xf32>):
    %1 = kernel.contract %a, %b : tensor<?x50xf32>, tensor<50x70xf32> -> tensor<?x70xf32>
    kernel.yield %1 : tensor<?x70xf32>
  }
  return %0 : tensor<?x70xf32>
}

// -----

// Integers cannot be split into halves.
// CHECK-LABEL: func @contract_integers
// CHECK:         kernel.region "matmul" {{.*}} schedule <"thread-contract", tile = [128], vector = 128>
// CHECK-NOT:       mma.sync
// CHECK:           arith.muli %{{.*}} : i32
func.func @contract_integers(%x: tensor<3x5xi32>, %w: tensor<5x7xi32>) -> tensor<3x7xi32> {
  %0 = kernel.region "matmul" inputs(%x, %w : tensor<3x5xi32>, tensor<5x7xi32>) indices() sizes() -> tensor<3x7xi32> {
  ^bb0(%a: tensor<3x5xi32>, %b: tensor<5x7xi32>):
    %1 = kernel.contract %a, %b : tensor<3x5xi32>, tensor<5x7xi32> -> tensor<3x7xi32>
    kernel.yield %1 : tensor<3x7xi32>
  }
  return %0 : tensor<3x7xi32>
}

// -----

// Bytes of a packed weight become f32 before they are split.
// CHECK-LABEL: func @contract_bytes
// CHECK:         kernel.region "matmul" {{.*}} schedule <"tensor-contract"
// CHECK:           arith.sitofp %{{.*}} : i8 to f32
// CHECK:           nvvm.mma.sync
func.func @contract_bytes(%x: tensor<3x5xf32>, %w: tensor<1x5x32xi8>) -> tensor<3x7xf32> {
  %0 = kernel.region "matmul" inputs(%x, %w : tensor<3x5xf32>, tensor<1x5x32xi8>) indices() sizes() -> tensor<3x7xf32> {
  ^bb0(%a: tensor<3x5xf32>, %b: tensor<1x5x32xi8>):
    %1 = kernel.contract packed %a, %b : tensor<3x5xf32>, tensor<1x5x32xi8> -> tensor<3x7xf32>
    kernel.yield %1 : tensor<3x7xf32>
  }
  return %0 : tensor<3x7xf32>
}

// -----

// A lane's two columns of 40 values; no scores in memory.
// CHECK-LABEL: func @attention
// CHECK:         kernel.region "attention" {{.*}} schedule <"warp-attention", tile = [4, 32], vector = 32>
// CHECK-NOT:       memref.alloca
// CHECK:           scf.for {{.*}} -> (f32, f32, f32, f32)
// CHECK:             gpu.shuffle idx
func.func @attention(%q: tensor<1x2x3x40xf32>, %k: tensor<1x2x5x40xf32>, %v: tensor<1x2x5x40xf32>) -> tensor<1x2x3x40xf32> {
  %0 = kernel.region "attention" inputs(%q, %k, %v : tensor<1x2x3x40xf32>, tensor<1x2x5x40xf32>, tensor<1x2x5x40xf32>) indices() sizes() -> tensor<1x2x3x40xf32> {
  ^bb0(%a: tensor<1x2x3x40xf32>, %b: tensor<1x2x5x40xf32>, %c: tensor<1x2x5x40xf32>):
    %1 = kernel.attention %a, %b, %c scale 1.250000e-01
         {query_layout = array<i64: 0, 1, 2, 3>, key_layout = array<i64: 0, 1, 2, 3>, value_layout = array<i64: 0, 1, 2, 3>, output_layout = array<i64: 0, 1, 2, 3>}
         : (tensor<1x2x3x40xf32>, tensor<1x2x5x40xf32>, tensor<1x2x5x40xf32>) -> tensor<1x2x3x40xf32>
    kernel.yield %1 : tensor<1x2x3x40xf32>
  }
  return %0 : tensor<1x2x3x40xf32>
}

// -----

func.func @two_anchors(%x: tensor<4x9xf32>) -> tensor<4x9xf32> {
  // expected-error@+1 {{is taken by none of the kernel families tensor-contract, thread-contract, warp-attention, warp-row, thread-lines, thread-loops}}
  %0 = kernel.region "softmax_twice" inputs(%x : tensor<4x9xf32>) indices() sizes() -> tensor<4x9xf32> {
  ^bb0(%a: tensor<4x9xf32>):
    %1 = kernel.softmax %a : tensor<4x9xf32> -> tensor<4x9xf32>
    %2 = kernel.softmax %1 : tensor<4x9xf32> -> tensor<4x9xf32>
    kernel.yield %2 : tensor<4x9xf32>
  }
  return %0 : tensor<4x9xf32>
}

// -----

func.func @half(%x: tensor<4x9xf16>) -> tensor<4x9xf16> {
  // expected-error@+1 {{works on 'f16', which target nvidia has no kernels for}}
  %0 = kernel.region "softmax" inputs(%x : tensor<4x9xf16>) indices() sizes() -> tensor<4x9xf16> {
  ^bb0(%a: tensor<4x9xf16>):
    %1 = kernel.softmax %a : tensor<4x9xf16> -> tensor<4x9xf16>
    kernel.yield %1 : tensor<4x9xf16>
  }
  return %0 : tensor<4x9xf16>
}

// -----

// A thread for each line.
// CHECK-LABEL: func @lines
// CHECK:         kernel.region "ones" {{.*}} schedule <"thread-lines", tile = [128], vector = 128>
// CHECK:           gpu.thread_id x
// CHECK:           scf.if
// CHECK:             scf.for
// CHECK:               memref.store
func.func @lines(%n: index) -> tensor<?x4xf32> {
  %0 = kernel.region "ones" inputs() indices(%n) sizes(%n) -> tensor<?x4xf32> {
  ^bb0(%k: index):
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %one = arith.constant 1.0 : f32
    %e = tensor.empty(%k) : tensor<?x4xf32>
    %1 = kernel.lines %e axis 0 : tensor<?x4xf32> {
    ^bb0(%column: index, %line: tensor<?xf32>):
      %2 = scf.for %i = %c0 to %k step %c1 iter_args(%l = %line) -> (tensor<?xf32>) {
        %3 = tensor.insert %one into %l[%i] : tensor<?xf32>
        scf.yield %3 : tensor<?xf32>
      }
      kernel.yield %2 : tensor<?xf32>
    }
    kernel.yield %1 : tensor<?x4xf32>
  }
  return %0 : tensor<?x4xf32>
}

// -----

// What follows a softmax runs on each element as it is stored.
// CHECK-LABEL: func @softmax_in_bytes
// CHECK:         schedule <"warp-row"
// CHECK:         %[[E:.*]] = arith.divf
// CHECK-NEXT:    %[[B:.*]] = arith.fptosi %[[E]] : f32 to i8
// CHECK:         memref.store %[[B]]
func.func @softmax_in_bytes(%x: tensor<4x100xf32>) -> tensor<4x100xi8> {
  %0 = kernel.region "softmax" inputs(%x : tensor<4x100xf32>) indices() sizes() -> tensor<4x100xi8> {
  ^bb0(%a: tensor<4x100xf32>):
    %s = kernel.softmax %a : tensor<4x100xf32> -> tensor<4x100xf32>
    %e = tensor.empty() : tensor<4x100xi8>
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%s : tensor<4x100xf32>) outs(%e : tensor<4x100xi8>) {
    ^bb0(%b: f32, %o: i8):
      %2 = arith.fptosi %b : f32 to i8
      linalg.yield %2 : i8
    } -> tensor<4x100xi8>
    kernel.yield %1 : tensor<4x100xi8>
  }
  return %0 : tensor<4x100xi8>
}

// -----

func.func @cache(%q: tensor<1x2x4x8xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<1xi64>, %n: index) -> tensor<1x2x4x8xf32> {
  %0 = kernel.region "attention" inputs(%q, %c, %at : tensor<1x2x4x8xf32>, tensor<3x2x9x8xf32>, tensor<1xi64>) indices(%n) sizes() -> tensor<1x2x4x8xf32> {
  ^bb0(%query: tensor<1x2x4x8xf32>, %cache: tensor<3x2x9x8xf32>, %starts: tensor<1xi64>, %length: index):
    // expected-error@+1 {{of a cache has no kernel for GPUs}}
    %1 = kernel.attention causal %query, %cache, %cache at %starts length %length scale 1.0
      {query_layout = array<i64: 0, 1, 2, 3>, key_layout = array<i64: 0, 1, 2, 3>, value_layout = array<i64: 0, 1, 2, 3>, output_layout = array<i64: 0, 1, 2, 3>}
      : (tensor<1x2x4x8xf32>, tensor<3x2x9x8xf32>, tensor<3x2x9x8xf32>, tensor<1xi64>, index) -> tensor<1x2x4x8xf32>
    kernel.yield %1 : tensor<1x2x4x8xf32>
  }
  return %0 : tensor<1x2x4x8xf32>
}
