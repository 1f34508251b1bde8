// RUN: tenon-opt %s --tenon-emit=target=nvidia --split-input-file --verify-diagnostics

// The backend would end the process at an op that it cannot select.
func.func private @k(%in: memref<4xf32>, %out: memref<4xf32>, %begin: index, %end: index) attributes {tenon.kernel} {
  %0 = memref.load %in[%begin] : memref<4xf32>
  // expected-error@+1 {{has no instructions on target nvidia for 'f32'}}
  %1 = math.atan %0 : f32
  memref.store %1, %out[%begin] : memref<4xf32>
  return
}
func.func @main(%x: memref<4xf32> {tenon.name = "x"}, %y: memref<4xf32> {tenon.output, tenon.name = "y"}) {
  %c1 = arith.constant 1 : index
  plan.launch @k grid(%c1) buffers(%x, %y : memref<4xf32>, memref<4xf32>) indices()
  plan.output %y sizes() : memref<4xf32>
  return
}

// -----

func.func @main(%x: memref<i1> {tenon.name = "x"}, %y: memref<4xf32> {tenon.output, tenon.name = "y"}) {
  // expected-error@+1 {{decides on the host by a value on the device, which target nvidia cannot yet}}
  %0 = plan.read %x : memref<i1> -> i1
  plan.output %y sizes() : memref<4xf32>
  return
}
