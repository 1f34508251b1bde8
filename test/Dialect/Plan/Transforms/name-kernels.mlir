// RUN: tenon-opt %s --plan-name-kernels --split-input-file | FileCheck %s

// One kernel of three launches: the first names it, whichever comes first in
// the text. What no launch uses keeps its name.
// CHECK:       func.func private @unused(
// CHECK-SAME:    attributes {tenon.kernel}
// CHECK:       func.func private @add_0__layer_0_a_b_Add__and_2_more(
// CHECK-SAME:    attributes {tenon.kernel = "add_0"}
// CHECK:       func.func private @mul_1__end(
// CHECK-SAME:    attributes {tenon.kernel = "mul_1"}
// CHECK:         plan.launch @add_0__layer_0_a_b_Add__and_2_more
// CHECK:           plan.launch @add_0__layer_0_a_b_Add__and_2_more
// CHECK:         plan.launch @mul_1__end
// CHECK:         plan.launch @add_0__layer_0_a_b_Add__and_2_more
func.func private @unused(memref<4xf32>, index, index) attributes {tenon.kernel}
func.func private @add_0(memref<4xf32>, index, index) attributes {tenon.kernel}
func.func private @mul_1(memref<4xf32>, index, index) attributes {tenon.kernel}
func.func @main(%x: memref<4xf32>, %c: i1) {
  %one = arith.constant 1 : index
  plan.launch @add_0 grid(%one) buffers(%x : memref<4xf32>) indices() {tenon.id = "/layer.0/a::<b>/Add/"}
  scf.if %c {
    plan.launch @add_0 grid(%one) buffers(%x : memref<4xf32>) indices() {tenon.id = "/layer.1/Add"}
  }
  plan.launch @mul_1 grid(%one) buffers(%x : memref<4xf32>) indices() {tenon.id = "end"}
  plan.launch @add_0 grid(%one) buffers(%x : memref<4xf32>) indices()
  return
}

// -----

// Without an id, or with one of which nothing is left, the name stays. A name
// that another symbol has gets a number, a long one loses its beginning.
// CHECK:       func.func private @a_0(
// CHECK:       func.func private @b_1(
// CHECK:       func.func private @c_2__x(
// CHECK-SAME:    attributes {tenon.kernel = "c_2__x"}
// CHECK:       func.func private @c_2__x_0(
// CHECK-SAME:    attributes {tenon.kernel = "c_2"}
// CHECK:       func.func private @d_3__456789_123456789_123456789_123456789_123456789_123456789_123_end(
func.func private @a_0(memref<4xf32>, index, index) attributes {tenon.kernel}
func.func private @b_1(memref<4xf32>, index, index) attributes {tenon.kernel}
func.func private @c_2__x(memref<4xf32>, index, index) attributes {tenon.kernel}
func.func private @c_2(memref<4xf32>, index, index) attributes {tenon.kernel}
func.func private @d_3(memref<4xf32>, index, index) attributes {tenon.kernel}
func.func @main(%x: memref<4xf32>) {
  %one = arith.constant 1 : index
  plan.launch @a_0 grid(%one) buffers(%x : memref<4xf32>) indices()
  plan.launch @b_1 grid(%one) buffers(%x : memref<4xf32>) indices() {tenon.id = "///"}
  plan.launch @c_2__x grid(%one) buffers(%x : memref<4xf32>) indices()
  plan.launch @c_2 grid(%one) buffers(%x : memref<4xf32>) indices() {tenon.id = "x"}
  plan.launch @d_3 grid(%one) buffers(%x : memref<4xf32>) indices() {tenon.id = "0123456789_123456789_123456789_123456789_123456789_123456789_123.end"}
  return
}
