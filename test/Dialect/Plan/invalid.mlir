// RUN: tenon-opt %s --split-input-file --verify-diagnostics

func.func @empty_range() {
  // expected-error@+1 {{has an empty range 5 to 4}}
  %n = plan.symbol "n" range 5 to 4
  return
}

// -----

func.func @hint_outside() {
  // expected-error@+1 {{has hint 9 outside its range 0 to 4}}
  %n = plan.symbol "n" range 0 to 4 hint 9
  return
}

// -----

func.func @alloc_sizes() {
  // expected-error@+1 {{has 0 sizes for the 1 dynamic dimensions of 'memref<?xf32>'}}
  %0 = plan.alloc sizes() : memref<?xf32>
  return
}

// -----

func.func @id_alone() {
  // expected-error@+1 {{needs an id and a list of what lies below or neither, but has only an id}}
  %0 = "plan.alloc"() <{id = 0 : i64}> : () -> memref<4xf32>
  return
}

// -----

func.func @below_itself() {
  // expected-error@+1 {{has id 0, but lists 0 below it, which is not smaller}}
  %0 = plan.alloc 0 below [0] sizes() : memref<4xf32>
  return
}

// -----

func.func @below_nothing() {
  // expected-error@+1 {{lists 1 below it, which is no slice of this function}}
  %0 = plan.alloc 2 below [1] sizes() : memref<4xf32>
  return
}

// -----

func.func @same_id() {
  // expected-error@+1 {{has id 0, as another slice}}
  %0 = plan.alloc 0 below [] sizes() : memref<4xf32>
  %1 = plan.alloc 0 below [] sizes() : memref<4xf32>
  return
}

// -----

func.func @constant_type() {
  // expected-error@+1 {{has type 'memref<5xf32>', but its value gives 'memref<4xf32>'}}
  %0 = plan.constant dense<1.0> : tensor<4xf32> -> memref<5xf32>
  return
}

// -----

func.func @constant_position() {
  // expected-error@+1 {{has position 100, which is no multiple of 64 from 0 on}}
  %0 = plan.constant dense<1.0> : tensor<4xf32> position 100 -> memref<4xf32>
  return
}

// -----

func.func @unaligned_weight() {
  // expected-error@+1 {{has position 65, which is no multiple of 64 from 0 on}}
  %0 = plan.weight "w" from "f" at 0 source tensor<4xf32> layout "rows" position 65 : memref<4xf32>
  return
}

// -----

func.func @negative_position() {
  // expected-error@+1 {{has position -64, which is no multiple of 64 from 0 on}}
  %0 = plan.weight "w" from "f" at 0 source tensor<4xf32> layout "rows" position -64 : memref<4xf32>
  return
}

// -----

func.func @weight_source() {
  // expected-error@+1 {{has source 'tensor<?xf32>', which is no static tensor}}
  %0 = plan.weight "w" from "f" at 0 source tensor<?xf32> layout "rows" position 0 : memref<4xf32>
  return
}

// -----

func.func @weight_type() {
  // expected-error@+1 {{has type 'memref<4xi8>', which is no static buffer of 'f32'}}
  %0 = plan.weight "w" from "f" at 0 source tensor<4xf32> layout "rows" position 0 : memref<4xi8>
  return
}

// -----

func.func @view_element_type(%x: memref<4xf32>) {
  // expected-error@+1 {{views elements of 'f32' as 'i32'}}
  %0 = plan.view %x sizes() : memref<4xf32> -> memref<4xi32>
  return
}

// -----

func.func @view_elements(%x: memref<4xf32>) {
  // expected-error@+1 {{views 4 elements as 6}}
  %0 = plan.view %x sizes() : memref<4xf32> -> memref<2x3xf32>
  return
}

// -----

func.func @no_output(%x: memref<4xf32>) {
  // expected-error@+1 {{needs an argument of the function with the attribute tenon.output}}
  plan.output %x sizes() : memref<4xf32>
  return
}

// -----

func.func @no_kernel(%n: index) {
  // expected-error@+1 {{launches @missing, which is no function}}
  plan.launch @missing grid(%n) buffers() indices()
  return
}

// -----

func.func private @not_a_kernel(index, index)
func.func @launches_a_function(%n: index) {
  // expected-error@+1 {{launches @not_a_kernel, which has no attribute tenon.kernel}}
  plan.launch @not_a_kernel grid(%n) buffers() indices()
  return
}

// -----

func.func private @k(memref<4xf32>, index, index) attributes {tenon.kernel}
func.func @launch_types(%n: index, %x: memref<5xf32>) {
  // expected-error@+1 {{launches @k of type '(memref<4xf32>, index, index) -> ()', but passes ('memref<5xf32>', 'index', 'index')}}
  plan.launch @k grid(%n) buffers(%x : memref<5xf32>) indices()
  return
}

// -----

func.func @copy_types(%x: memref<4xf32>, %y: memref<5xf32>) {
  // expected-error@+1 {{copies 'memref<4xf32>' into 'memref<5xf32>', but both must have one type}}
  plan.copy %x, %y : memref<4xf32>, memref<5xf32>
  return
}

// -----

func.func @counted_sizes(%n: index, %y: memref<?xf32> {tenon.output}) {
  // expected-error@+1 {{has 2 sizes for the 1 dynamic dimensions of 'memref<?xf32>'}}
  plan.output %y sizes(%n) counted(%n, %n) : memref<?xf32>
  return
}

// -----

func.func private @k(memref<4xf32>, memref<4xf32>, index, index) attributes {tenon.kernel}
func.func @dependent_section(%n: index, %x: memref<4xf32>, %y: memref<4xf32>, %z: memref<4xf32>) {
  plan.section {
    plan.launch @k grid(%n) buffers(%x, %y : memref<4xf32>, memref<4xf32>) indices() {tenon.results = 1}
    // expected-error@+1 {{needs another launch of its section to be done before or after it}}
    plan.launch @k grid(%n) buffers(%y, %z : memref<4xf32>, memref<4xf32>) indices() {tenon.results = 1}
  }
  return
}

// -----

func.func @copy_in_section(%x: memref<4xf32>, %y: memref<4xf32>) {
  plan.section {
    // expected-error@+1 {{stands in a section, which holds launches only}}
    plan.copy %x, %y : memref<4xf32>, memref<4xf32>
  }
  return
}
