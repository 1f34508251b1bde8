// RUN: tenon-opt %s --kernel-schedule-regions="target=x86-64-v3" --split-input-file --verify-diagnostics | FileCheck %s

// Rows are independent: the grid is the product of the outer sizes, and the
// inner loop runs on vectors with a scalar remainder.
// CHECK-LABEL: func @elementwise
// CHECK:         %[[ROWS:.*]] = arith.muli %{{.*}}, %{{.*}} : index
// CHECK:         kernel.region "neg" inputs(%{{.*}}) indices() sizes(%{{.*}}) grid(%[[ROWS]]) schedule <"loops", tile = [4096], vector = 8>
// CHECK:           vector.load {{.*}} vector<8xf32>
// CHECK:           arith.negf %{{.*}} : vector<8xf32>
// CHECK:           memref.store
func.func @elementwise(%x: tensor<?x4x100xf32>, %n: index) -> tensor<?x4x100xf32> {
  %0 = kernel.region "neg" inputs(%x : tensor<?x4x100xf32>) indices() sizes(%n) -> tensor<?x4x100xf32> {
  ^bb0(%a: tensor<?x4x100xf32>):
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1, d2) -> (d0, d1, d2)>, affine_map<(d0, d1, d2) -> (d0, d1, d2)>], iterator_types = ["parallel", "parallel", "parallel"]} ins(%a : tensor<?x4x100xf32>) outs(%a : tensor<?x4x100xf32>) {
    ^bb0(%b: f32, %o: f32):
      %2 = arith.negf %b : f32
      linalg.yield %2 : f32
    } -> tensor<?x4x100xf32>
    kernel.yield %1 : tensor<?x4x100xf32>
  }
  return %0 : tensor<?x4x100xf32>
}

// -----

// What is left of a row goes through a mask.
// CHECK-LABEL: func @softmax
// CHECK:         kernel.region "softmax" {{.*}} schedule <"row", tile = [1], vector = 8>
// CHECK:           vector.maskedload
// CHECK:           math.exp %{{.*}} : vector<8xf32>
func.func @softmax(%x: tensor<4x9xf32>) -> tensor<4x9xf32> {
  %0 = kernel.region "softmax" inputs(%x : tensor<4x9xf32>) indices() sizes() -> tensor<4x9xf32> {
  ^bb0(%a: tensor<4x9xf32>):
    %1 = kernel.softmax %a : tensor<4x9xf32> -> tensor<4x9xf32>
    kernel.yield %1 : tensor<4x9xf32>
  }
  return %0 : tensor<4x9xf32>
}

// -----

func.func @two_anchors(%x: tensor<4x9xf32>) -> tensor<4x9xf32> {
  // expected-error@+1 {{is taken by none of the kernel families contract, attention, row, lines, loops}}
  %0 = kernel.region "softmax_twice" inputs(%x : tensor<4x9xf32>) indices() sizes() -> tensor<4x9xf32> {
  ^bb0(%a: tensor<4x9xf32>):
    %1 = kernel.softmax %a : tensor<4x9xf32> -> tensor<4x9xf32>
    %2 = kernel.softmax %1 : tensor<4x9xf32> -> tensor<4x9xf32>
    kernel.yield %2 : tensor<4x9xf32>
  }
  return %0 : tensor<4x9xf32>
}

// -----

// A constant of the region is made once, where it dominates both branches.
// CHECK-LABEL: func @constant_in_branches
// CHECK:         ^bb0
// CHECK:           %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// CHECK:           scf.if
// CHECK:             arith.addf %{{.*}}, %[[ONE]] : f32
// CHECK:           } else {
// CHECK:             arith.subf %{{.*}}, %[[ONE]] : f32
func.func @constant_in_branches(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  %0 = kernel.region "branch" inputs(%x : tensor<4x8xf32>) indices() sizes() -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %one = arith.constant 1.0 : f32
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<4x8xf32>) outs(%a : tensor<4x8xf32>) {
    ^bb0(%b: f32, %o: f32):
      %c = arith.cmpf ogt, %b, %one : f32
      %2 = scf.if %c -> f32 {
        %3 = arith.addf %b, %one : f32
        scf.yield %3 : f32
      } else {
        %3 = arith.subf %b, %one : f32
        scf.yield %3 : f32
      }
      linalg.yield %2 : f32
    } -> tensor<4x8xf32>
    kernel.yield %1 : tensor<4x8xf32>
  }
  return %0 : tensor<4x8xf32>
}

// -----

func.func @reads_at_a_sum(%x: tensor<32xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error@+1 {{is taken by none of the kernel families}}
  %0 = kernel.region "sum" inputs(%x, %y : tensor<32xf32>, tensor<4x8xf32>) indices() sizes() -> tensor<4x8xf32> {
  ^bb0(%a: tensor<32xf32>, %e: tensor<4x8xf32>):
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0 * 8 + d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<32xf32>) outs(%e : tensor<4x8xf32>) {
    ^bb0(%b: f32, %o: f32):
      linalg.yield %b : f32
    } -> tensor<4x8xf32>
    kernel.yield %1 : tensor<4x8xf32>
  }
  return %0 : tensor<4x8xf32>
}

// -----

// The memory of a result holds nothing before the region runs.
func.func @reads_its_result(%x: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error@+1 {{is taken by none of the kernel families}}
  %0 = kernel.region "add" inputs(%x : tensor<4x8xf32>) indices() sizes() -> tensor<4x8xf32> {
  ^bb0(%a: tensor<4x8xf32>):
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<4x8xf32>) outs(%a : tensor<4x8xf32>) {
    ^bb0(%b: f32, %o: f32):
      %2 = arith.addf %b, %o : f32
      linalg.yield %2 : f32
    } -> tensor<4x8xf32>
    kernel.yield %1 : tensor<4x8xf32>
  }
  return %0 : tensor<4x8xf32>
}

// -----

// A coordinate that is the same along a row is spread over the lanes.
// CHECK-LABEL: func @coordinate_of_the_row
// CHECK:           kernel.region "select"
// CHECK:           vector.load {{.*}} vector<8xf32>
// CHECK:           %[[ROW:.*]] = vector.broadcast %{{.*}} : index to vector<8xindex>
// CHECK:           arith.cmpi eq, %[[ROW]], %{{.*}} : vector<8xindex>
// CHECK:           arith.select %{{.*}} : vector<8xi1>, vector<8xf32>
func.func @coordinate_of_the_row(%x: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = kernel.region "select" inputs(%x : tensor<4x16xf32>) indices() sizes() -> tensor<4x16xf32> {
  ^bb0(%in: tensor<4x16xf32>):
    %e = tensor.empty() : tensor<4x16xf32>
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
        ins(%in : tensor<4x16xf32>) outs(%e : tensor<4x16xf32>) {
    ^bb0(%a: f32, %o: f32):
      %c0 = arith.constant 0 : index
      %i = linalg.index 0 : index
      %first = arith.cmpi eq, %i, %c0 : index
      %n = arith.negf %a : f32
      %s = arith.select %first, %n, %a : f32
      linalg.yield %s : f32
    } -> tensor<4x16xf32>
    kernel.yield %1 : tensor<4x16xf32>
  }
  return %0 : tensor<4x16xf32>
}

// -----

// The coordinate along the row differs from lane to lane: no vectors.
// CHECK-LABEL: func @coordinate_along_the_row
// CHECK:           kernel.region "select"
// CHECK-NOT:       vector.load
// CHECK:           return
func.func @coordinate_along_the_row(%x: tensor<4x16xf32>) -> tensor<4x16xf32> {
  %0 = kernel.region "select" inputs(%x : tensor<4x16xf32>) indices() sizes() -> tensor<4x16xf32> {
  ^bb0(%in: tensor<4x16xf32>):
    %e = tensor.empty() : tensor<4x16xf32>
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
        ins(%in : tensor<4x16xf32>) outs(%e : tensor<4x16xf32>) {
    ^bb0(%a: f32, %o: f32):
      %c0 = arith.constant 0 : index
      %i = linalg.index 1 : index
      %first = arith.cmpi eq, %i, %c0 : index
      %n = arith.negf %a : f32
      %s = arith.select %first, %n, %a : f32
      linalg.yield %s : f32
    } -> tensor<4x16xf32>
    kernel.yield %1 : tensor<4x16xf32>
  }
  return %0 : tensor<4x16xf32>
}

// -----

// Lines side by side go through a loop together, which carries none of them:
// they are written in place.
// CHECK-LABEL: func @lines
// CHECK:         kernel.region "ones" {{.*}} grid(%{{.*}}) schedule <"lines", tile = [512], vector = 1>
// CHECK:         ^bb0(%[[OUT:.*]]: memref<?x4xf32>, %{{.*}}: index, %[[BEGIN:.*]]: index, %[[END:.*]]: index):
// CHECK:           scf.for %{{.*}} = %[[BEGIN]] to %[[END]]
// CHECK:             scf.for %[[I:.*]] = %{{.*}} to %{{.*}} step %{{.*}} {
// CHECK:               scf.for %[[LINE:.*]] = %{{.*}} to %{{.*}} step %{{.*}} {
// CHECK:                 memref.store %{{.*}}, %[[OUT]][%[[I]], %[[LINE]]]
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

// A loop that carries a sum is run for one line after another.
// CHECK-LABEL: func @sums
// CHECK:         kernel.region "sums" {{.*}} schedule <"lines", tile = [1], vector = 1>
// CHECK:           scf.for %[[LINE:.*]] = %{{.*}} to %{{.*}} step %{{.*}} {
// CHECK:             scf.for %[[I:.*]] = %{{.*}} iter_args(%[[SUM:.*]] = %{{.*}}) -> (f32) {
// CHECK:               %[[NEXT:.*]] = arith.addf %[[SUM]]
// CHECK:               memref.store %[[NEXT]], %{{.*}}[%[[I]], %[[LINE]]]
// CHECK:               scf.yield %[[NEXT]] : f32
func.func @sums(%x: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %0 = kernel.region "sums" inputs(%x : tensor<8x4xf32>) indices() sizes() -> tensor<8x4xf32> {
  ^bb0(%a: tensor<8x4xf32>):
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    %c8 = arith.constant 8 : index
    %zero = arith.constant 0.0 : f32
    %e = tensor.empty() : tensor<8x4xf32>
    %1 = kernel.lines %e axis 0 : tensor<8x4xf32> {
    ^bb0(%column: index, %line: tensor<8xf32>):
      %2:2 = scf.for %i = %c0 to %c8 step %c1 iter_args(%l = %line, %s = %zero) -> (tensor<8xf32>, f32) {
        %3 = tensor.extract %a[%i, %column] : tensor<8x4xf32>
        %4 = arith.addf %s, %3 : f32
        %5 = tensor.insert %4 into %l[%i] : tensor<8xf32>
        scf.yield %5, %4 : tensor<8xf32>, f32
      }
      kernel.yield %2#0 : tensor<8xf32>
    }
    kernel.yield %1 : tensor<8x4xf32>
  }
  return %0 : tensor<8x4xf32>
}

// -----

func.func @line_with_a_branch(%x: tensor<4xf32>) -> tensor<4xf32> {
  // expected-error@+1 {{is taken by none of the kernel families}}
  %0 = kernel.region "r" inputs(%x : tensor<4xf32>) indices() sizes() -> tensor<4xf32> {
  ^bb0(%a: tensor<4xf32>):
    %no = arith.constant false
    %1 = kernel.lines %a axis 0 : tensor<4xf32> {
    ^bb0(%line: tensor<4xf32>):
      %2 = scf.if %no -> (tensor<4xf32>) {
        scf.yield %line : tensor<4xf32>
      } else {
        scf.yield %line : tensor<4xf32>
      }
      kernel.yield %2 : tensor<4xf32>
    }
    kernel.yield %1 : tensor<4xf32>
  }
  return %0 : tensor<4xf32>
}
