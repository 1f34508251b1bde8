// RUN: tenon-opt %s --convert-plan-to-llvm | FileCheck %s

// The description says who reads and writes which buffers: a view is what it
// shows, a weight also where it is, and the memory for indices out of range is no buffer of the model. Of
// a launch that does not say how many of its buffers are results, nothing is.
// CHECK:      tenon_description("
// CHECK-SAME: \0Abuffer 0 input 0 f32 4*n n
// CHECK-SAME: \0Abuffer 1 weight w%20x f32 16 4
// CHECK-SAME: \0Aposition 1 0
// CHECK-SAME: \0Areads 0 0 1
// CHECK-SAME: \0Abuffer 2 slice 0 f32 4*n n
// CHECK-SAME: \0Awrites 0 2
// CHECK-SAME: \0Abuffer 3 output 1 f32 4*n n
// CHECK-SAME: \0Acopy 9 2 3
// CHECK-SAME: \0Abuffer 4 input 1 i1 1
// CHECK-SAME: \0Aread 10 4
// CHECK-NOT:  reads 1
func.func private @kernel_0(memref<?xf32>, memref<4xf32>, memref<2xi64>, memref<?xf32>, index, index) attributes {tenon.kernel, tenon.threads = 1}
func.func private @kernel_1(memref<?xf32>, index, index) attributes {tenon.kernel, tenon.threads = 1}
func.func @main(%x: memref<?xf32> {tenon.name = "x", tenon.dims = ["n"]}, %z: memref<?xf32> {tenon.output, tenon.name = "z"},
                %c: memref<i1> {tenon.name = "c", tenon.dims = []}, %y: memref<?xf32> {tenon.output, tenon.name = "y"}) {
  %n = plan.symbol "n" range 0 to 512
  %w = plan.weight "w x" from "f" at 0 source tensor<4xf32> layout "row_major" position 0 : memref<4xf32>
  %e = plan.index_error 0 : memref<2xi64>
  %v = plan.view %x sizes(%n) : memref<?xf32> -> memref<?xf32>
  %0 = plan.alloc 0 below [] sizes(%n) : memref<?xf32>
  plan.launch @kernel_0 grid(%n) buffers(%v, %w, %e, %0 : memref<?xf32>, memref<4xf32>, memref<2xi64>, memref<?xf32>) indices() {tenon.results = 1 : i64, tenon.step = 8 : i64}
  plan.launch @kernel_1 grid(%n) buffers(%z : memref<?xf32>) indices()
  plan.copy %0, %y {tenon.step = 9 : i64} : memref<?xf32>, memref<?xf32>
  %1 = plan.read %c {tenon.step = 10 : i64} : memref<i1> -> i1
  plan.output %z sizes(%n) : memref<?xf32>
  plan.output %y sizes(%n) : memref<?xf32>
  return
}
