// RUN: tenon-opt %s | tenon-opt | FileCheck %s

// CHECK-LABEL: func.func @outside_regions
func.func @outside_regions(%x: tensor<?x8xf32>) -> tensor<?x2x4xf32> {
  // CHECK: %[[N:.*]] = kernel.symbol "n" range 0 to 512 hint 16
  %n = kernel.symbol "n" range 0 to 512 hint 16
  // CHECK: kernel.assume_equal %[[N]], %[[N]]
  kernel.assume_equal %n, %n
  // CHECK: kernel.constant dense<1.000000e+00> : tensor<2xf32>
  %c = kernel.constant dense<1.0> : tensor<2xf32>
  // CHECK: kernel.weight "w" from "f" at 64 source tensor<40x8xf32> transposed layout panel32 : tensor<2x8x32xf32>
  %w = kernel.weight "w" from "f" at 64 source tensor<40x8xf32> transposed layout panel32 : tensor<2x8x32xf32>
  // CHECK: kernel.weight "w" from "f" at 0 source tensor<40x9xf16> transposed layout panel32x2 : tensor<2x5x32x2xbf16>
  %pairs = kernel.weight "w" from "f" at 0 source tensor<40x9xf16> transposed layout panel32x2 : tensor<2x5x32x2xbf16>
  // CHECK: kernel.weight "w" from "f" at 0 source tensor<9x40xi8> layout panel32x4 : tensor<2x3x32x4xi8>
  %bytes = kernel.weight "w" from "f" at 0 source tensor<9x40xi8> layout panel32x4 : tensor<2x3x32x4xi8>
  // CHECK: kernel.view %{{.*}} sizes(%[[N]]) : tensor<?x8xf32> -> tensor<?x2x4xf32>
  %v = kernel.view %x sizes(%n) : tensor<?x8xf32> -> tensor<?x2x4xf32>
  return %v : tensor<?x2x4xf32>
}

// CHECK-LABEL: func.func @first_form
func.func @first_form(%x: tensor<?x8xf32>, %w: tensor<8x4xf32>, %n: index) -> tensor<?x4xf32> {
  // CHECK: kernel.region "dense" inputs(%{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<8x4xf32>) indices(%{{.*}}) sizes(%{{.*}}) attributes {tenon.id = "n1"} -> tensor<?x4xf32> {
  %0 = kernel.region "dense" inputs(%x, %w : tensor<?x8xf32>, tensor<8x4xf32>) indices(%n) sizes(%n) attributes {tenon.id = "n1"} -> tensor<?x4xf32> {
  ^bb0(%a: tensor<?x8xf32>, %b: tensor<8x4xf32>, %k: index):
    // CHECK: kernel.norm rms %{{.*}} epsilon
    %1 = kernel.norm rms %a epsilon 1.0E-6 : (tensor<?x8xf32>) -> tensor<?x8xf32>
    // CHECK: kernel.contract %{{.*}}, %{{.*}} : tensor<?x8xf32>, tensor<8x4xf32> -> tensor<?x4xf32>
    %2 = kernel.contract %1, %b : tensor<?x8xf32>, tensor<8x4xf32> -> tensor<?x4xf32>
    // CHECK: kernel.softmax
    %3 = kernel.softmax %2 : tensor<?x4xf32> -> tensor<?x4xf32>
    // CHECK: kernel.yield %{{.*}} : tensor<?x4xf32>
    kernel.yield %3 : tensor<?x4xf32>
  }
  return %0 : tensor<?x4xf32>
}

// CHECK-LABEL: func.func @second_form
func.func @second_form(%x: tensor<?xf32>, %n: index) -> tensor<?xf32> {
  // CHECK: grid(%{{.*}}) schedule <"loops", tile = [4, 2], vector = 8> -> tensor<?xf32>
  %0 = kernel.region "r" inputs(%x : tensor<?xf32>) indices() sizes(%n) grid(%n) schedule <"loops", tile = [4, 2], vector = 8> -> tensor<?xf32> {
  // CHECK: ^bb0(%{{.*}}: memref<?xf32>, %{{.*}}: memref<?xf32>, %{{.*}}: index, %{{.*}}: index):
  ^bb0(%in: memref<?xf32>, %out: memref<?xf32>, %begin: index, %end: index):
    kernel.yield
  }
  return %0 : tensor<?xf32>
}

// CHECK-LABEL: func.func @lines
func.func @lines(%n: index) -> tensor<?x4xf32> {
  // CHECK: kernel.lines %{{.*}} axis 0 : tensor<?x4xf32> {
  // CHECK: ^bb0(%{{.*}}: index, %[[LINE:.*]]: tensor<?xf32>):
  // CHECK: iter_args(%{{.*}} = %[[LINE]])
  // CHECK: kernel.yield %{{.*}} : tensor<?xf32>
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

// CHECK-LABEL: func.func @count
func.func @count(%total: tensor<i64>, %n: index) {
  // CHECK: kernel.count "nonzero/count" %{{.*}} at_most %{{.*}} : tensor<i64>
  %0 = kernel.count "nonzero/count" %total at_most %n : tensor<i64>
  return
}

// CHECK-LABEL: func.func @dots
func.func @dots(%sum: vector<16xi32>, %a: vector<16xi32>, %total: vector<8xf32>, %x: vector<8xi32>) -> (vector<16xi32>, vector<8xf32>) {
  // CHECK: kernel.dot u8s8 %{{.*}}, %{{.*}}, %{{.*}} : vector<16xi32>
  %0 = kernel.dot u8s8 %sum, %a, %a : vector<16xi32>
  // CHECK: kernel.dot bf16 %{{.*}}, %{{.*}}, %{{.*}} : vector<8xf32>
  %1 = kernel.dot bf16 %total, %x, %x : vector<8xf32>
  return %0, %1 : vector<16xi32>, vector<8xf32>
}

// CHECK-LABEL: func.func @tiles
func.func @tiles(%a: memref<?xi8>, %b: memref<?xi8>, %s: memref<?xi32>, %x: memref<?xbf16>, %t: memref<1024xf32>, %n: index) {
  // CHECK: kernel.multiply_tiles u8s8 %{{.*}}[%{{.*}}] row %{{.*}}, %{{.*}}[%{{.*}}] row %{{.*}}, %{{.*}}[%{{.*}}] row %{{.*}} depth %{{.*}} rows 32 : memref<?xi8>, memref<?xi8>, memref<?xi32>
  kernel.multiply_tiles u8s8 %a[%n] row %n, %b[%n] row %n, %s[%n] row %n depth %n rows 32 : memref<?xi8>, memref<?xi8>, memref<?xi32>
  // CHECK: kernel.multiply_tiles bf16 accumulate %{{.*}} rows 16 : memref<?xbf16>, memref<?xbf16>, memref<1024xf32>
  kernel.multiply_tiles bf16 accumulate %x[%n] row %n, %x[%n] row %n, %t[%n] row %n depth %n rows 16 : memref<?xbf16>, memref<?xbf16>, memref<1024xf32>
  // CHECK: kernel.multiply_tiles bf16 split 3 %{{.*}}[%{{.*}}] row %{{.*}} ahead %{{.*}}[%{{.*}}] : memref<1024xf32> depth %{{.*}} rows 16 : memref<?xbf16>, memref<?xbf16>, memref<1024xf32>
  kernel.multiply_tiles bf16 split 3 %x[%n] row %n, %x[%n] row %n, %t[%n] row %n ahead %t[%n] : memref<1024xf32> depth %n rows 16 : memref<?xbf16>, memref<?xbf16>, memref<1024xf32>
  return
}

// CHECK-LABEL: func.func @blocks
func.func @blocks(%x: tensor<?x64xf32>, %s: tensor<1x2x32xf16>, %z: tensor<1x2x32xi8>) -> tensor<?x32xf32> {
  // CHECK: %[[W:.*]] = kernel.weight "w" from "f" at 0 source tensor<32x32xi8> transposed layout panel32x8 : tensor<1x8x32x4xi8>
  %w = kernel.weight "w" from "f" at 0 source tensor<32x32xi8> transposed layout panel32x8 : tensor<1x8x32x4xi8>
  // CHECK: kernel.contract packed %{{.*}}, %[[W]] scale(%{{.*}} : tensor<1x2x32xf16>) zero_point(%{{.*}} : tensor<1x2x32xi8>) bits 4 block 32 : tensor<?x64xf32>, tensor<1x8x32x4xi8> -> tensor<?x32xf32>
  %0 = kernel.contract packed %x, %w scale(%s : tensor<1x2x32xf16>) zero_point(%z : tensor<1x2x32xi8>) bits 4 block 32 : tensor<?x64xf32>, tensor<1x8x32x4xi8> -> tensor<?x32xf32>
  return %0 : tensor<?x32xf32>
}

// CHECK-LABEL: func.func @small_dots
func.func @small_dots(%sum: vector<8xi32>, %a: vector<8xi32>) -> vector<8xi32> {
  // CHECK: kernel.dot u4s8 %{{.*}}, %{{.*}}, %{{.*}} : vector<8xi32>
  %0 = kernel.dot u4s8 %sum, %a, %a : vector<8xi32>
  return %0 : vector<8xi32>
}
