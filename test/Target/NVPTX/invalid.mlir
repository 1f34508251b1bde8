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
  // expected-error@+1 {{brings a value of the device to the host, which decides by it or finds a size in it; target nvidia cannot yet}}
  %0 = plan.read %x : memref<i1> -> i1
  plan.output %y sizes() : memref<4xf32>
  return
}

// -----

func.func @main(%x: memref<?xf32> {tenon.name = "x"}, %y: memref<?xf32> {tenon.name = "y"}) {
  // expected-error@+1 {{copies a buffer whose sizes are not known here}}
  plan.copy %x, %y : memref<?xf32>, memref<?xf32>
  return
}

// -----

func.func @main(%x: memref<?xf32> {tenon.name = "x"}, %y: memref<?xf32> {tenon.output, tenon.name = "y"}) {
  // expected-error@+1 {{stands before the sizes of its buffer}}
  plan.copy %x, %y : memref<?xf32>, memref<?xf32>
  %n = plan.symbol "n" range 0 to 512
  plan.output %y sizes(%n) : memref<?xf32>
  return
}

// -----

// expected-error@+1 {{needs the external function 'malloc', which devices do not have}}
module {
  func.func private @k(%out: memref<4xf32>, %begin: index, %end: index) attributes {tenon.kernel} {
    %0 = memref.alloc() : memref<4xf32>
    %1 = memref.load %out[%begin] : memref<4xf32>
    memref.store %1, %0[%begin] : memref<4xf32>
    %c0 = arith.constant 0 : index
    %2 = memref.load %0[%c0] : memref<4xf32>
    memref.store %2, %out[%begin] : memref<4xf32>
    return
  }
  func.func @main(%y: memref<4xf32> {tenon.output, tenon.name = "y"}) {
    %c1 = arith.constant 1 : index
    plan.launch @k grid(%c1) buffers(%y : memref<4xf32>) indices()
    plan.output %y sizes() : memref<4xf32>
    return
  }
}
