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
  // expected-error@+1 {{is taken by none of the kernel families contract, attention, append, row, lines, loops}}
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

// Windows are read where they lie, here by vectors.
// CHECK-LABEL: func @reads_at_a_sum
// CHECK: schedule <"loops"
// CHECK: vector.load %{{.*}} : memref<40xf32>, vector<8xf32>
func.func @reads_at_a_sum(%x: tensor<40xf32>) -> tensor<4x8xf32> {
  %0 = kernel.region "sum" inputs(%x : tensor<40xf32>) indices() sizes() -> tensor<4x8xf32> {
  ^bb0(%a: tensor<40xf32>):
    %e = tensor.empty() : tensor<4x8xf32>
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0 * 8 + d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<40xf32>) outs(%e : tensor<4x8xf32>) {
    ^bb0(%b: f32, %o: f32):
      linalg.yield %b : f32
    } -> tensor<4x8xf32>
    kernel.yield %1 : tensor<4x8xf32>
  }
  return %0 : tensor<4x8xf32>
}

// -----

func.func @reads_at_a_quotient(%x: tensor<8xf32>, %y: tensor<4x8xf32>) -> tensor<4x8xf32> {
  // expected-error@+1 {{is taken by none of the kernel families}}
  %0 = kernel.region "quotient" inputs(%x, %y : tensor<8xf32>, tensor<4x8xf32>) indices() sizes() -> tensor<4x8xf32> {
  ^bb0(%a: tensor<8xf32>, %e: tensor<4x8xf32>):
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0 floordiv 8 + d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<8xf32>) outs(%e : tensor<4x8xf32>) {
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

// Half the bytes of a panel are loaded and widened in registers; rows of the
// left operand are widened once for each panel. The weights of the next block are
// fetched while this one is multiplied.
// CHECK-LABEL: func @half_product
// CHECK:         kernel.region "product" {{.*}} schedule <"contract"
// CHECK:           memref.alloca() {{.*}} : memref<1536xf32>
// CHECK-NEXT:      memref.alloca() {{.*}} : memref<3072xf32>
// CHECK:           vector.load {{.*}} vector<8xf16>
// CHECK-NEXT:      arith.extf %{{.*}} : vector<8xf16> to vector<8xf32>
// CHECK:           vector.load {{.*}} : memref<{{.*}}xf16>, vector<8xf16>
// CHECK:           memref.prefetch %{{.*}}, read, locality<3>, data : memref<{{.*}}xf16>
// CHECK:           vector.fma {{.*}} : vector<8xf32>
// CHECK:           arith.truncf %{{.*}} : vector<8xf32> to vector<8xf16>
func.func @half_product(%x: tensor<?x64xf16>, %w: tensor<2x64x32xf16>, %n: index) -> tensor<?x64xf16> {
  %0 = kernel.region "product" inputs(%x, %w : tensor<?x64xf16>, tensor<2x64x32xf16>) indices(%n) sizes(%n) -> tensor<?x64xf16> {
  ^bb0(%a: tensor<?x64xf16>, %b: tensor<2x64x32xf16>, %i: index):
    %1 = kernel.contract packed %a, %b : tensor<?x64xf16>, tensor<2x64x32xf16> -> tensor<?x64xf32>
    %e = tensor.empty(%i) : tensor<?x64xf16>
    %2 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]}
        ins(%1 : tensor<?x64xf32>) outs(%e : tensor<?x64xf16>) {
    ^bb0(%v: f32, %o: f16):
      %r = arith.truncf %v : f32 to f16
      linalg.yield %r : f16
    } -> tensor<?x64xf16>
    kernel.yield %2 : tensor<?x64xf16>
  }
  return %0 : tensor<?x64xf16>
}

// -----

// Activations were just written, and are packed: nothing is fetched. Blocks are
// equally deep, 100 for 400 and 128 for 384: a tile that is half as wide as a
// panel has half of an L1 of 32 KB for a block, and takes half of that.
// CHECK-LABEL: func @product_of_activations
// CHECK:         kernel.region "long" {{.*}} schedule <"contract"
// CHECK:           memref.alloca() {{.*}} : memref<1536xf32>
// CHECK-NEXT:      memref.alloca() {{.*}} : memref<3200xf32>
// CHECK-NOT:       memref.prefetch
// CHECK:         kernel.region "short" {{.*}} schedule <"contract"
// CHECK:           memref.alloca() {{.*}} : memref<1536xf32>
// CHECK-NEXT:      memref.alloca() {{.*}} : memref<4096xf32>
// CHECK-NOT:       memref.prefetch
// CHECK:           return
func.func @product_of_activations(%x: tensor<8x400xf32>, %y: tensor<400x64xf32>, %z: tensor<64x384xf32>, %v: tensor<384x32xf32>) -> (tensor<8x64xf32>, tensor<64x32xf32>) {
  %0 = kernel.region "long" inputs(%x, %y : tensor<8x400xf32>, tensor<400x64xf32>) indices() sizes() -> tensor<8x64xf32> {
  ^bb0(%a: tensor<8x400xf32>, %b: tensor<400x64xf32>):
    %1 = kernel.contract %a, %b : tensor<8x400xf32>, tensor<400x64xf32> -> tensor<8x64xf32>
    kernel.yield %1 : tensor<8x64xf32>
  }
  %2 = kernel.region "short" inputs(%z, %v : tensor<64x384xf32>, tensor<384x32xf32>) indices() sizes() -> tensor<64x32xf32> {
  ^bb0(%a: tensor<64x384xf32>, %b: tensor<384x32xf32>):
    %1 = kernel.contract %a, %b : tensor<64x384xf32>, tensor<384x32xf32> -> tensor<64x32xf32>
    kernel.yield %1 : tensor<64x32xf32>
  }
  return %0, %2 : tensor<8x64xf32>, tensor<64x32xf32>
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

func.func @half_sums(%x: tensor<?x64xbf16>, %w: tensor<64x8xbf16>, %n: index) -> tensor<?x8xbf16> {
  %0 = kernel.region "product" inputs(%x, %w : tensor<?x64xbf16>, tensor<64x8xbf16>) indices() sizes(%n) -> tensor<?x8xbf16> {
  ^bb0(%a: tensor<?x64xbf16>, %b: tensor<64x8xbf16>):
    // expected-error@+1 {{multiplies 'tensor<?x64xbf16>' into 'tensor<?x8xbf16>', but operands and result must have one element type, or the result f32}}
    %1 = kernel.contract %a, %b : tensor<?x64xbf16>, tensor<64x8xbf16> -> tensor<?x8xbf16>
    kernel.yield %1 : tensor<?x8xbf16>
  }
  return %0 : tensor<?x8xbf16>
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

// Powers that the result would round wait on the stack, or, of rows too long for
// it, are computed again.
// CHECK-LABEL: func @half_softmax
// CHECK:         kernel.region "softmax" {{.*}} schedule <"row"
// CHECK:           memref.alloca() {{.*}} : memref<2048xf32>
// CHECK-COUNT-2:   math.exp
// CHECK-NOT:       math.exp
// CHECK:         func @long_half_softmax
// CHECK-COUNT-4:   math.exp
// CHECK-NOT:       math.exp
// CHECK:           return
func.func @half_softmax(%x: tensor<4x9xbf16>) -> tensor<4x9xbf16> {
  %0 = kernel.region "softmax" inputs(%x : tensor<4x9xbf16>) indices() sizes() -> tensor<4x9xbf16> {
  ^bb0(%a: tensor<4x9xbf16>):
    %1 = kernel.softmax %a : tensor<4x9xbf16> -> tensor<4x9xbf16>
    kernel.yield %1 : tensor<4x9xbf16>
  }
  return %0 : tensor<4x9xbf16>
}

// -----

func.func @long_half_softmax(%x: tensor<4x3000xbf16>) -> tensor<4x3000xbf16> {
  %0 = kernel.region "softmax" inputs(%x : tensor<4x3000xbf16>) indices() sizes() -> tensor<4x3000xbf16> {
  ^bb0(%a: tensor<4x3000xbf16>):
    %1 = kernel.softmax %a : tensor<4x3000xbf16> -> tensor<4x3000xbf16>
    kernel.yield %1 : tensor<4x3000xbf16>
  }
  return %0 : tensor<4x3000xbf16>
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

// -----

// Bytes are read, converted and stored in vectors.
// CHECK-LABEL: func @bytes
// CHECK:         vector.load {{.*}} vector<8xi8>
// CHECK:         arith.extui %{{.*}} : vector<8xi8> to vector<8xi32>
// CHECK:         arith.trunci %{{.*}} : vector<8xi32> to vector<8xi8>
// CHECK:         vector.store {{.*}} vector<8xi8>
func.func @bytes(%x: tensor<4x100xi8>) -> tensor<4x100xi8> {
  %0 = kernel.region "bytes" inputs(%x : tensor<4x100xi8>) indices() sizes() -> tensor<4x100xi8> {
  ^bb0(%a: tensor<4x100xi8>):
    %e = tensor.empty() : tensor<4x100xi8>
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, d1)>], iterator_types = ["parallel", "parallel"]} ins(%a : tensor<4x100xi8>) outs(%e : tensor<4x100xi8>) {
    ^bb0(%b: i8, %o: i8):
      %2 = arith.extui %b : i8 to i32
      %3 = arith.muli %2, %2 : i32
      %4 = arith.trunci %3 : i32 to i8
      linalg.yield %4 : i8
    } -> tensor<4x100xi8>
    kernel.yield %1 : tensor<4x100xi8>
  }
  return %0 : tensor<4x100xi8>
}

// -----

// Sums of integers may be made in any order: a row in vectors, and the rest of it.
// CHECK-LABEL: func @sums_of_rows
// CHECK:         %[[FOUR:.*]]:4 = scf.for {{.*}} -> (vector<8xi32>, vector<8xi32>, vector<8xi32>, vector<8xi32>)
// CHECK:           vector.load {{.*}} vector<8xi8>
// CHECK:           arith.addi %{{.*}} : vector<8xi32>
// CHECK:         arith.addi %[[FOUR]]#0, %[[FOUR]]#1
// CHECK:         %[[SUMS:.*]] = scf.for {{.*}} -> (vector<8xi32>)
// CHECK:         %[[SUM:.*]] = vector.reduction <add>, %[[SUMS]], %{{.*}} : vector<8xi32> into i32
// CHECK:         scf.for {{.*}} iter_args(%{{.*}} = %[[SUM]]) -> (i32)
func.func @sums_of_rows(%x: tensor<4x100xi8>) -> tensor<4x1xi32> {
  %0 = kernel.region "sum" inputs(%x : tensor<4x100xi8>) indices() sizes() -> tensor<4x1xi32> {
  ^bb0(%a: tensor<4x100xi8>):
    %e = tensor.empty() : tensor<4x1xi32>
    %z = arith.constant 0 : i32
    %f = linalg.fill ins(%z : i32) outs(%e : tensor<4x1xi32>) -> tensor<4x1xi32>
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, 0)>], iterator_types = ["parallel", "reduction"]} ins(%a : tensor<4x100xi8>) outs(%f : tensor<4x1xi32>) {
    ^bb0(%b: i8, %o: i32):
      %2 = arith.extui %b : i8 to i32
      %3 = arith.addi %2, %o : i32
      linalg.yield %3 : i32
    } -> tensor<4x1xi32>
    kernel.yield %1 : tensor<4x1xi32>
  }
  return %0 : tensor<4x1xi32>
}

// -----

// Sums of floats stay in their order.
// CHECK-LABEL: func @sums_of_floats
// CHECK-NOT:     vector.load
// CHECK:         return
func.func @sums_of_floats(%x: tensor<4x100xf32>) -> tensor<4x1xf32> {
  %0 = kernel.region "sum" inputs(%x : tensor<4x100xf32>) indices() sizes() -> tensor<4x1xf32> {
  ^bb0(%a: tensor<4x100xf32>):
    %e = tensor.empty() : tensor<4x1xf32>
    %z = arith.constant 0.0 : f32
    %f = linalg.fill ins(%z : f32) outs(%e : tensor<4x1xf32>) -> tensor<4x1xf32>
    %1 = linalg.generic {indexing_maps = [affine_map<(d0, d1) -> (d0, d1)>, affine_map<(d0, d1) -> (d0, 0)>], iterator_types = ["parallel", "reduction"]} ins(%a : tensor<4x100xf32>) outs(%f : tensor<4x1xf32>) {
    ^bb0(%b: f32, %o: f32):
      %2 = arith.addf %b, %o : f32
      linalg.yield %2 : f32
    } -> tensor<4x1xf32>
    kernel.yield %1 : tensor<4x1xf32>
  }
  return %0 : tensor<4x1xf32>
}

// -----

// What follows a softmax runs on its vectors as they are stored.
// CHECK-LABEL: func @softmax_in_bytes
// CHECK:         schedule <"row"
// CHECK:         arith.divf %{{.*}} : vector<8xf32>
// CHECK:         arith.fptosi %{{.*}} : vector<8xf32> to vector<8xi8>
// CHECK:         vector.store {{.*}} vector<8xi8>
// CHECK:         vector.maskedstore {{.*}} vector<8xi8>
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

// Rows go to their places in the memory of the cache; a place outside is noted.
// CHECK-LABEL: func @append
// CHECK: kernel.region "append" {{.*}} schedule <"append", tile = [1], vector = 8> updates [1]
// CHECK: arith.cmpi ult
// CHECK: vector.load %{{.*}} : memref<64xf32>, vector<8xf32>
func.func @append(%x: tensor<1x2x4x8xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<1xi64>, %n: index, %error: tensor<2xi64>) -> tensor<3x2x9x8xf32> {
  %0 = kernel.region "append" inputs(%x, %c, %at, %error : tensor<1x2x4x8xf32>, tensor<3x2x9x8xf32>, tensor<1xi64>, tensor<2xi64>) indices(%n) sizes() updates [1] -> tensor<3x2x9x8xf32> {
  ^bb0(%in: tensor<1x2x4x8xf32>, %cache: tensor<3x2x9x8xf32>, %starts: tensor<1xi64>, %e: tensor<2xi64>, %size: index):
    %1 = kernel.append %in[%size, %size] into %cache at %starts else %e {layout = array<i64: 0, 1, 2, 3>} : (tensor<1x2x4x8xf32>, index, index, tensor<3x2x9x8xf32>, tensor<1xi64>, tensor<2xi64>) -> tensor<3x2x9x8xf32>
    kernel.yield %1 : tensor<3x2x9x8xf32>
  }
  return %0 : tensor<3x2x9x8xf32>
}

// -----

// Bytes and their scale; a position that is computed of sixteen bits.
// CHECK-LABEL: func @append_bytes
// CHECK:         kernel.region "append" {{.*}} schedule <"append"
// CHECK:         arith.maximumf %{{.*}} : vector<8xf32>
// CHECK:         %[[AMAX:.*]] = vector.reduction <maximumf>
// CHECK:         math.roundeven %{{.*}} : vector<8xf32>
// CHECK:         vector.store %{{.*}} : memref<648xi8>, vector<8xi8>
// CHECK:         %[[SCALE:.*]] = arith.divf %[[AMAX]],
// CHECK:         vector.store %{{.*}} : memref<648xi8>, vector<4xi8>
func.func @append_bytes(%x: tensor<1x2x4x8xf16>, %c: tensor<3x2x9x12xi8>, %at: tensor<1xi64>, %n: index, %error: tensor<2xi64>) -> tensor<3x2x9x12xi8> {
  %0 = kernel.region "append" inputs(%x, %c, %at, %error : tensor<1x2x4x8xf16>, tensor<3x2x9x12xi8>, tensor<1xi64>, tensor<2xi64>) indices(%n) sizes() updates [1] -> tensor<3x2x9x12xi8> {
  ^bb0(%in: tensor<1x2x4x8xf16>, %cache: tensor<3x2x9x12xi8>, %starts: tensor<1xi64>, %e: tensor<2xi64>, %size: index):
    %1 = kernel.append %in[%size, %size] into %cache at %starts else %e {layout = array<i64: 0, 1, 2, 3>} : (tensor<1x2x4x8xf16>, index, index, tensor<3x2x9x12xi8>, tensor<1xi64>, tensor<2xi64>) -> tensor<3x2x9x12xi8>
    kernel.yield %1 : tensor<3x2x9x12xi8>
  }
  return %0 : tensor<3x2x9x12xi8>
}

// -----

// From one type of sixteen bits to the other by way of f32.
// CHECK-LABEL: func @append_converted
// CHECK:         %[[WIDE:.*]] = arith.extf %{{.*}} : vector<8xf16> to vector<8xf32>
// CHECK:         arith.truncf %[[WIDE]] : vector<8xf32> to vector<8xbf16>
func.func @append_converted(%x: tensor<1x2x4x8xf16>, %c: tensor<3x2x9x8xbf16>, %at: tensor<1xi64>, %n: index, %error: tensor<2xi64>) -> tensor<3x2x9x8xbf16> {
  %0 = kernel.region "append" inputs(%x, %c, %at, %error : tensor<1x2x4x8xf16>, tensor<3x2x9x8xbf16>, tensor<1xi64>, tensor<2xi64>) indices(%n) sizes() updates [1] -> tensor<3x2x9x8xbf16> {
  ^bb0(%in: tensor<1x2x4x8xf16>, %cache: tensor<3x2x9x8xbf16>, %starts: tensor<1xi64>, %e: tensor<2xi64>, %size: index):
    %1 = kernel.append %in[%size, %size] into %cache at %starts else %e {layout = array<i64: 0, 1, 2, 3>} : (tensor<1x2x4x8xf16>, index, index, tensor<3x2x9x8xbf16>, tensor<1xi64>, tensor<2xi64>) -> tensor<3x2x9x8xbf16>
    kernel.yield %1 : tensor<3x2x9x8xbf16>
  }
  return %0 : tensor<3x2x9x8xbf16>
}

// -----

// Keys of a single query are split by their number: the last region puts what
// the parts give together, in the memory that they write where there is one.
// CHECK-LABEL: func @split_keys
// CHECK:         %[[PARTS:.*]] = arith.divui
// CHECK:         %[[ATTENTION:.*]]:2 = kernel.region "attention" {{.*}} schedule <"attention", tile = [48, 64], vector = 8> -> tensor<1x2x?x8xf32>, tensor<?x?x34xf32>
// CHECK:         memref<?x?x34xf32>
// CHECK:         %[[MERGED:.*]] = kernel.region "attention_merge" inputs(%[[ATTENTION]]#0, %[[ATTENTION]]#1 : {{.*}} schedule <"attention-merge", tile = [1], vector = 8> updates [0] -> tensor<1x2x?x8xf32>
// CHECK:         return %[[MERGED]]
func.func @split_keys(%q: tensor<1x2x?x8xf32>, %c: tensor<3x2x9x12xi8>, %at: tensor<1xi64>, %s: index, %n: index) -> tensor<1x2x?x8xf32> {
  %0 = kernel.region "attention" inputs(%q, %c, %at : tensor<1x2x?x8xf32>, tensor<3x2x9x12xi8>, tensor<1xi64>) indices(%n) sizes(%s) -> tensor<1x2x?x8xf32> {
  ^bb0(%query: tensor<1x2x?x8xf32>, %cache: tensor<3x2x9x12xi8>, %starts: tensor<1xi64>, %length: index):
    %1 = kernel.attention causal %query, %cache, %cache at %starts length %length scale 1.0
      {query_layout = array<i64: 0, 1, 2, 3>, key_layout = array<i64: 0, 1, 2, 3>, value_layout = array<i64: 0, 1, 2, 3>, output_layout = array<i64: 0, 1, 2, 3>}
      : (tensor<1x2x?x8xf32>, tensor<3x2x9x12xi8>, tensor<3x2x9x12xi8>, tensor<1xi64>, index) -> tensor<1x2x?x8xf32>
    kernel.yield %1 : tensor<1x2x?x8xf32>
  }
  return %0 : tensor<1x2x?x8xf32>
}

// -----

// Without a cache there is one region, whatever the number of queries.
// CHECK-LABEL: func @unsplit_keys
// CHECK:         kernel.region "attention"
// CHECK-NOT:     kernel.region
func.func @unsplit_keys(%q: tensor<1x2x1x8xf32>, %k: tensor<1x2x900x8xf32>) -> tensor<1x2x1x8xf32> {
  %0 = kernel.region "attention" inputs(%q, %k : tensor<1x2x1x8xf32>, tensor<1x2x900x8xf32>) indices() sizes() -> tensor<1x2x1x8xf32> {
  ^bb0(%query: tensor<1x2x1x8xf32>, %keys: tensor<1x2x900x8xf32>):
    %1 = kernel.attention causal %query, %keys, %keys scale 1.0
      {query_layout = array<i64: 0, 1, 2, 3>, key_layout = array<i64: 0, 1, 2, 3>, value_layout = array<i64: 0, 1, 2, 3>, output_layout = array<i64: 0, 1, 2, 3>}
      : (tensor<1x2x1x8xf32>, tensor<1x2x900x8xf32>, tensor<1x2x900x8xf32>) -> tensor<1x2x1x8xf32>
    kernel.yield %1 : tensor<1x2x1x8xf32>
  }
  return %0 : tensor<1x2x1x8xf32>
}

// -----

func.func @append_elsewhere(%x: tensor<1x2x4x8xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<1xi64>, %n: index, %error: tensor<2xi64>) -> tensor<3x2x9x8xf32> {
  // expected-error@+1 {{must update its input 1, the cache of its kernel.append}}
  %0 = kernel.region "append" inputs(%x, %c, %at, %error : tensor<1x2x4x8xf32>, tensor<3x2x9x8xf32>, tensor<1xi64>, tensor<2xi64>) indices(%n) sizes() -> tensor<3x2x9x8xf32> {
  ^bb0(%in: tensor<1x2x4x8xf32>, %cache: tensor<3x2x9x8xf32>, %starts: tensor<1xi64>, %e: tensor<2xi64>, %size: index):
    %1 = kernel.append %in[%size, %size] into %cache at %starts else %e {layout = array<i64: 0, 1, 2, 3>} : (tensor<1x2x4x8xf32>, index, index, tensor<3x2x9x8xf32>, tensor<1xi64>, tensor<2xi64>) -> tensor<3x2x9x8xf32>
    kernel.yield %1 : tensor<3x2x9x8xf32>
  }
  return %0 : tensor<3x2x9x8xf32>
}

// -----

func.func @append_dynamic(%x: tensor<1x2x4x8xf32>, %c: tensor<3x2x9x?xf32>, %at: tensor<1xi64>, %n: index, %error: tensor<2xi64>) -> tensor<3x2x9x?xf32> {
  %0 = kernel.region "append" inputs(%x, %c, %at, %error : tensor<1x2x4x8xf32>, tensor<3x2x9x?xf32>, tensor<1xi64>, tensor<2xi64>) indices(%n) sizes(%n) updates [1] -> tensor<3x2x9x?xf32> {
  ^bb0(%in: tensor<1x2x4x8xf32>, %cache: tensor<3x2x9x?xf32>, %starts: tensor<1xi64>, %e: tensor<2xi64>, %size: index):
    // expected-error@+1 {{needs a static size of heads, but found 'tensor<3x2x9x?xf32>'}}
    %1 = kernel.append %in[%size, %size] into %cache at %starts else %e {layout = array<i64: 0, 1, 2, 3>} : (tensor<1x2x4x8xf32>, index, index, tensor<3x2x9x?xf32>, tensor<1xi64>, tensor<2xi64>) -> tensor<3x2x9x?xf32>
    kernel.yield %1 : tensor<3x2x9x?xf32>
  }
  return %0 : tensor<3x2x9x?xf32>
}

// -----

func.func @append_twice(%x: tensor<1x2x4x8xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<1xi64>, %n: index, %error: tensor<2xi64>) -> tensor<3x2x9x8xf32> {
  // expected-error@+1 {{must hold a kernel.append of its inputs alone}}
  %0 = kernel.region "append" inputs(%x, %c, %at, %error : tensor<1x2x4x8xf32>, tensor<3x2x9x8xf32>, tensor<1xi64>, tensor<2xi64>) indices(%n) sizes() updates [1] -> tensor<3x2x9x8xf32> {
  ^bb0(%in: tensor<1x2x4x8xf32>, %cache: tensor<3x2x9x8xf32>, %starts: tensor<1xi64>, %e: tensor<2xi64>, %size: index):
    %1 = kernel.append %in[%size, %size] into %cache at %starts else %e {layout = array<i64: 0, 1, 2, 3>} : (tensor<1x2x4x8xf32>, index, index, tensor<3x2x9x8xf32>, tensor<1xi64>, tensor<2xi64>) -> tensor<3x2x9x8xf32>
    %2 = arith.addf %1, %1 : tensor<3x2x9x8xf32>
    kernel.yield %2 : tensor<3x2x9x8xf32>
  }
  return %0 : tensor<3x2x9x8xf32>
}

// -----

func.func @cache_starts(%q: tensor<1x2x1x8xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<1x1xi64>, %n: index) -> tensor<1x2x1x8xf32> {
  %0 = kernel.region "attention" inputs(%q, %c, %at : tensor<1x2x1x8xf32>, tensor<3x2x9x8xf32>, tensor<1x1xi64>) indices(%n) sizes() -> tensor<1x2x1x8xf32> {
  ^bb0(%query: tensor<1x2x1x8xf32>, %cache: tensor<3x2x9x8xf32>, %starts: tensor<1x1xi64>, %length: index):
    // expected-error@+1 {{needs starts and slots of rank 1 from its region's inputs, but found 'tensor<1x1xi64>'}}
    %1 = kernel.attention causal %query, %cache, %cache at %starts length %length scale 1.0
      {query_layout = array<i64: 0, 1, 2, 3>, key_layout = array<i64: 0, 1, 2, 3>, value_layout = array<i64: 0, 1, 2, 3>, output_layout = array<i64: 0, 1, 2, 3>}
      : (tensor<1x2x1x8xf32>, tensor<3x2x9x8xf32>, tensor<3x2x9x8xf32>, tensor<1x1xi64>, index) -> tensor<1x2x1x8xf32>
    kernel.yield %1 : tensor<1x2x1x8xf32>
  }
  return %0 : tensor<1x2x1x8xf32>
}
