// RUN: tenon-opt %s --split-input-file --verify-diagnostics

func.func @dynamic_source() {
  // expected-error@+1 {{has source 'tensor<?xf32>', which is no static tensor}}
  %0 = kernel.weight "w" from "f" at 0 source tensor<?xf32> layout rows : tensor<4xf32>
  return
}

// -----

func.func @transposed_vector() {
  // expected-error@+1 {{cannot transpose 'tensor<4xf32>', which needs rank 2 or more}}
  %0 = kernel.weight "w" from "f" at 0 source tensor<4xf32> transposed layout rows : tensor<4xf32>
  return
}

// -----

func.func @panels_of_a_vector() {
  // expected-error@+1 {{can lay out only matrices in panels, not 'tensor<4xf32>'}}
  %0 = kernel.weight "w" from "f" at 0 source tensor<4xf32> layout panel32 : tensor<1x4x32xf32>
  return
}

// -----

func.func @panel_type() {
  // expected-error@+1 {{has type 'tensor<1x8x32xf32>', but its layout gives 'tensor<2x8x32xf32>'}}
  %0 = kernel.weight "w" from "f" at 0 source tensor<8x33xf32> layout panel32 : tensor<1x8x32xf32>
  return
}

// -----

func.func @view_sizes(%x: tensor<?x8xf32>, %n: index) {
  // expected-error@+1 {{has 1 sizes for the 0 dynamic dimensions of 'tensor<8xf32>'}}
  %0 = kernel.view %x sizes(%n) : tensor<?x8xf32> -> tensor<8xf32>
  return
}

// -----

func.func @region_sizes(%x: tensor<?xf32>) {
  // expected-error@+1 {{has 0 sizes for the 1 dynamic dimensions of its results}}
  %0 = kernel.region "r" inputs(%x : tensor<?xf32>) indices() sizes() -> tensor<?xf32> {
  ^bb0(%in: tensor<?xf32>):
    kernel.yield %in : tensor<?xf32>
  }
  return
}

// -----

func.func @grid_without_schedule(%x: tensor<4xf32>, %n: index) {
  // expected-error@+1 {{needs a schedule and a grid or neither, but has only a grid}}
  %0 = kernel.region "r" inputs(%x : tensor<4xf32>) indices() sizes() grid(%n) -> tensor<4xf32> {
  ^bb0(%in: tensor<4xf32>):
    kernel.yield %in : tensor<4xf32>
  }
  return
}

// -----

func.func @arguments_of_the_other_form(%x: tensor<4xf32>, %n: index) {
  // expected-error@+1 {{has block arguments ('tensor<4xf32>'), but its form needs ('memref<4xf32>', 'memref<4xf32>', 'index', 'index')}}
  %0 = kernel.region "r" inputs(%x : tensor<4xf32>) indices() sizes() grid(%n) schedule <"loops", tile = [1], vector = 1> -> tensor<4xf32> {
  ^bb0(%in: tensor<4xf32>):
    kernel.yield %in : tensor<4xf32>
  }
  return
}

// -----

func.func @yields_another_type(%x: tensor<4xf32>) {
  // expected-error@+1 {{must end in a kernel.yield of ('tensor<2xf32>'), but ends in kernel.yield of ('tensor<4xf32>')}}
  %0 = kernel.region "r" inputs(%x : tensor<4xf32>) indices() sizes() -> tensor<2xf32> {
  ^bb0(%in: tensor<4xf32>):
    kernel.yield %in : tensor<4xf32>
  }
  return
}

// -----

func.func @attention_layout(%x: tensor<1x2x4x8xf32>) {
  // expected-error@+1 {{has 'tensor<1x2x4x8xf32>' in layout [0, 1, 1, 3], but needs a permutation of 4 dimensions}}
  %0 = kernel.attention %x, %x, %x scale 1.0 {query_layout = array<i64: 0, 1, 2, 3>, key_layout = array<i64: 0, 1, 1, 3>, value_layout = array<i64: 0, 1, 2, 3>, output_layout = array<i64: 0, 1, 2, 3>}
    : (tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>) -> tensor<1x2x4x8xf32>
  return
}

// -----

func.func @attention_of_floats_quantized(%x: tensor<1x2x4x8xf32>, %p: tensor<5xf32>) {
  // expected-error@+1 {{is quantized, so that it needs queries, keys and values of i8 that are no caches, but found 'tensor<1x2x4x8xf32>', 'tensor<1x2x4x8xf32>' and 'tensor<1x2x4x8xf32>'}}
  %0 = kernel.attention %x, %x, %x quantized %p scale 1.0 {query_layout = array<i64: 0, 1, 2, 3>, key_layout = array<i64: 0, 1, 2, 3>, value_layout = array<i64: 0, 1, 2, 3>, output_layout = array<i64: 0, 1, 2, 3>}
    : (tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<1x2x4x8xf32>, tensor<5xf32>) -> tensor<1x2x4x8xf32>
  return
}

// -----

func.func @lines_axis(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{has axis 2 for a tensor of rank 2}}
  %0 = kernel.lines %x axis 2 : tensor<4x8xf32> {
  ^bb0(%i: index, %line: tensor<8xf32>):
    kernel.yield %line : tensor<8xf32>
  }
  return
}

// -----

func.func @line_of_another_dimension(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{has block arguments ('index', 'tensor<8xf32>'), but its lines need ('index', 'tensor<4xf32>')}}
  %0 = kernel.lines %x axis 0 : tensor<4x8xf32> {
  ^bb0(%i: index, %line: tensor<8xf32>):
    kernel.yield %line : tensor<8xf32>
  }
  return
}

// -----

func.func @yields_no_line(%x: tensor<4x8xf32>) {
  // expected-error@+1 {{must end in a kernel.yield of ('tensor<8xf32>')}}
  %0 = kernel.lines %x axis 1 : tensor<4x8xf32> {
  ^bb0(%i: index, %line: tensor<8xf32>):
    kernel.yield %x : tensor<4x8xf32>
  }
  return
}

// -----

func.func @group_of_a_type() {
  // expected-error@+1 {{has groups of 4 elements of 'bf16', which are not 32 bits}}
  %0 = kernel.weight "w" from "f" at 0 source tensor<8x33xbf16> layout panel32x4 : tensor<2x2x32x4xbf16>
  return
}

// -----

func.func @rounding() {
  // expected-error@+1 {{has elements of 'f16', but those of 'tensor<8xf32>' can only become bf16, and that from f32 or f16}}
  %0 = kernel.weight "w" from "f" at 0 source tensor<8xf32> layout rows : tensor<8xf16>
  return
}

// -----

func.func @bytes_into_floats(%s: vector<8xf32>, %a: vector<8xi32>) {
  // expected-error@+1 {{of u8s8 adds to lanes of i32, not of 'f32'}}
  %0 = kernel.dot u8s8 %s, %a, %a : vector<8xf32>
  return
}

// -----

func.func @tiles_of_small_bytes(%a: memref<?xi8>, %s: memref<?xi32>, %n: index) {
  // expected-error@+1 {{of u4s8 does not multiply 'i8' by 'i8' into 'i32'}}
  kernel.multiply_tiles u4s8 %a[%n] row %n, %a[%n] row %n, %s[%n] row %n depth %n rows 16 : memref<?xi8>, memref<?xi8>, memref<?xi32>
  return
}

// -----

func.func @tiles_of_two_kinds(%a: memref<?xi8>, %x: memref<?xbf16>, %s: memref<?xf32>, %n: index) {
  // expected-error@+1 {{of bf16 does not multiply 'bf16' by 'i8' into 'f32'}}
  kernel.multiply_tiles bf16 %x[%n] row %n, %a[%n] row %n, %s[%n] row %n depth %n rows 16 : memref<?xbf16>, memref<?xi8>, memref<?xf32>
  return
}

// -----

func.func @tiles_of_split_bytes(%a: memref<?xi8>, %s: memref<?xi32>, %n: index) {
  // expected-error@+1 {{of u8s8 is split, but only floats have parts}}
  kernel.multiply_tiles u8s8 split 2 %a[%n] row %n, %a[%n] row %n, %s[%n] row %n depth %n rows 16 : memref<?xi8>, memref<?xi8>, memref<?xi32>
  return
}

// -----

func.func @tiles_of_four_parts(%x: memref<?xbf16>, %t: memref<?xf32>, %n: index) {
  // expected-error@+1 {{is split into 4 parts, but needs 2 or 3}}
  kernel.multiply_tiles bf16 split 4 %x[%n] row %n, %x[%n] row %n, %t[%n] row %n depth %n rows 16 : memref<?xbf16>, memref<?xbf16>, memref<?xf32>
  return
}

// -----

func.func @tiles_of_few_rows(%a: memref<?xi8>, %s: memref<?xi32>, %n: index) {
  // expected-error@+1 {{has 8 rows, but needs 16 or 32}}
  kernel.multiply_tiles u8s8 %a[%n] row %n, %a[%n] row %n, %s[%n] row %n depth %n rows 8 : memref<?xi8>, memref<?xi8>, memref<?xi32>
  return
}

// -----

func.func @bf16_into_integers(%s: vector<8xi32>) {
  // expected-error@+1 {{of bf16 adds to lanes of f32, not of 'i32'}}
  %0 = kernel.dot bf16 %s, %s, %s : vector<8xi32>
  return
}

// -----

func.func @updates_count(%x: tensor<4xf32>) {
  // expected-error@+1 {{has 1 results, but says of 2 which input they update}}
  %0 = kernel.region "id" inputs(%x : tensor<4xf32>) indices() sizes() updates [0, -1] -> tensor<4xf32> {
  ^bb0(%in: tensor<4xf32>):
    kernel.yield %in : tensor<4xf32>
  }
  return
}

// -----

func.func @updates_other_type(%x: tensor<4xf32>, %y: tensor<5xf32>) {
  // expected-error@+1 {{has a result of type 'tensor<4xf32>' that updates input 1, which is none of that type}}
  %0 = kernel.region "id" inputs(%x, %y : tensor<4xf32>, tensor<5xf32>) indices() sizes() updates [1] -> tensor<4xf32> {
  ^bb0(%in: tensor<4xf32>, %other: tensor<5xf32>):
    kernel.yield %in : tensor<4xf32>
  }
  return
}

// -----

func.func @append_layout(%x: tensor<1x2x4x8xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<1xi64>, %n: index, %error: tensor<2xi64>) {
  // expected-error@+1 {{has 'tensor<1x2x4x8xf32>' in layout [0, 1, 1, 3], but needs a permutation of 4 dimensions}}
  %0 = kernel.append %x[%n, %n] into %c at %at else %error {layout = array<i64: 0, 1, 1, 3>} : (tensor<1x2x4x8xf32>, index, index, tensor<3x2x9x8xf32>, tensor<1xi64>, tensor<2xi64>) -> tensor<3x2x9x8xf32>
  return
}

// -----

func.func @append_cache(%x: tensor<1x2x4x8xf32>, %c: tensor<2x9x8xf32>, %at: tensor<1xi64>, %n: index, %error: tensor<2xi64>) {
  // expected-error@+1 {{needs a cache of rank 4, but found 'tensor<2x9x8xf32>'}}
  %0 = kernel.append %x[%n, %n] into %c at %at else %error {layout = array<i64: 0, 1, 2, 3>} : (tensor<1x2x4x8xf32>, index, index, tensor<2x9x8xf32>, tensor<1xi64>, tensor<2xi64>) -> tensor<2x9x8xf32>
  return
}

// -----

func.func @append_result(%x: tensor<1x2x4x8xf32>, %c: tensor<3x2x9x8xf32>, %at: tensor<1xi64>, %n: index, %error: tensor<2xi64>) {
  // expected-error@+1 {{has result type 'tensor<3x2x9x8xf16>', but its cache has 'tensor<3x2x9x8xf32>'}}
  %0 = kernel.append %x[%n, %n] into %c at %at else %error {layout = array<i64: 0, 1, 2, 3>} : (tensor<1x2x4x8xf32>, index, index, tensor<3x2x9x8xf32>, tensor<1xi64>, tensor<2xi64>) -> tensor<3x2x9x8xf16>
  return
}


// -----

func.func @halves_of_columns() {
  // expected-error@+1 {{lies in panel32x8, which needs a transposed source, whose rows hold two elements in a byte}}
  %0 = kernel.weight "w" from "f" at 0 source tensor<64x32xi8> layout panel32x8 : tensor<1x16x32x4xi8>
  return
}

// -----

func.func @halves_in_few_groups() {
  // expected-error@+1 {{has type 'tensor<1x5x32x4xi8>', but its layout gives 'tensor<1x8x32x4xi8>'}}
  %0 = kernel.weight "w" from "f" at 0 source tensor<32x20xi8> transposed layout panel32x8 : tensor<1x5x32x4xi8>
  return
}

// -----

func.func @blocks_without_scales(%x: tensor<4x32xf32>, %w: tensor<1x4x32x4xi8>) {
  // expected-error@+1 {{says how rhs is quantized, but has no scales}}
  %0 = kernel.contract packed %x, %w bits 4 block 32 : tensor<4x32xf32>, tensor<1x4x32x4xi8> -> tensor<4x32xf32>
  return
}

// -----

func.func @scales_without_blocks(%x: tensor<4x32xf32>, %w: tensor<1x4x32x4xi8>, %s: tensor<1x1x32xf16>) {
  // expected-error@+1 {{has scales, but not packed weights with bits and block}}
  %0 = kernel.contract packed %x, %w scale(%s : tensor<1x1x32xf16>) bits 4 : tensor<4x32xf32>, tensor<1x4x32x4xi8> -> tensor<4x32xf32>
  return
}

// -----

func.func @blocks_of_24(%x: tensor<4x32xf32>, %w: tensor<1x4x32x4xi8>, %s: tensor<1x2x32xf16>) {
  // expected-error@+1 {{has weights of 4 bits in blocks of 24, but needs 4 or 8 and a power of two of at least 16}}
  %0 = kernel.contract packed %x, %w scale(%s : tensor<1x2x32xf16>) bits 4 block 24 : tensor<4x32xf32>, tensor<1x4x32x4xi8> -> tensor<4x32xf32>
  return
}

// -----

func.func @blocks_of_open_depth(%x: tensor<4x?xf32>, %w: tensor<1x4x32x4xi8>, %s: tensor<1x1x32xf16>) {
  // expected-error@+1 {{has scales, so that 'tensor<4x?xf32>' needs a known size that is contracted}}
  %0 = kernel.contract packed %x, %w scale(%s : tensor<1x1x32xf16>) bits 4 block 32 : tensor<4x?xf32>, tensor<1x4x32x4xi8> -> tensor<4x32xf32>
  return
}

// -----

func.func @cut_blocks(%x: tensor<4x40xf32>, %w: tensor<1x8x32x4xi8>, %s: tensor<1x1x32xf16>) {
  // expected-error@+1 {{reads 'tensor<1x8x32x4xi8>', which are no panels of 4 bits for 40 contracted elements}}
  %0 = kernel.contract packed %x, %w scale(%s : tensor<1x1x32xf16>) bits 4 block 128 : tensor<4x40xf32>, tensor<1x8x32x4xi8> -> tensor<4x32xf32>
  return
}

// -----

func.func @few_scales(%x: tensor<4x64xf32>, %w: tensor<1x8x32x4xi8>, %s: tensor<1x1x32xf16>) {
  // expected-error@+1 {{has 'tensor<1x1x32xf16>' for its blocks, but needs sizes 1, 2, 32}}
  %0 = kernel.contract packed %x, %w scale(%s : tensor<1x1x32xf16>) bits 4 block 32 : tensor<4x64xf32>, tensor<1x8x32x4xi8> -> tensor<4x32xf32>
  return
}
