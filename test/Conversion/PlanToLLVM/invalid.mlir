// RUN: tenon-opt %s --convert-plan-to-llvm --split-input-file --verify-diagnostics

func.func @main() {
  // expected-error@+1 {{has no offset; run plan-assign-offsets}}
  %0 = plan.alloc sizes() : memref<4xf32>
  return
}

// -----

// expected-error@+1 {{has no function 'main'}}
module {
}

// -----

func.func private @other()
func.func @main() {
  // expected-error@+1 {{cannot become part of the host's code}}
  func.call @other() : () -> ()
  return
}

// -----

func.func @main() {
  // expected-error@+1 {{has type 'f32', but the host computes with integers alone}}
  %0 = arith.constant 1.0 : f32
  return
}

// -----

func.func private @k(memref<?xf32>, index, index) attributes {tenon.kernel}
// expected-error@+1 {{has a buffer of type 'memref<?xf32>', whose dimension 0 is named after no symbol}}
func.func @main(%x: memref<?xf32> {tenon.name = "x"}) {
  %c1 = arith.constant 1 : index
  plan.launch @k grid(%c1) buffers(%x : memref<?xf32>) indices()
  return
}

// -----

func.func @main() {
  // expected-error@+1 {{has a value that is not dense}}
  %0 = plan.constant sparse<[[0]], [1.0]> : tensor<4xf32> -> memref<4xf32>
  return
}

// -----

func.func @main() {
  // expected-error@+1 {{has no data of 16 bytes}}
  %0 = plan.constant dense_resource<lost> : tensor<4xf32> -> memref<4xf32>
  return
}
