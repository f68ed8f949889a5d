import Tensors
import Testing

@testable import Compute

/// Eight-bit rows and products against their readable versions.
@Suite struct Int8Tests {
    /// Numbers of -1...1, the same in every run.
    private static func noise(_ count: Int, _ seed: UInt64, scale: Float = 1) -> [Float] {
        var state = seed
        return (0..<count).map { _ in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Float(Int32(truncatingIfNeeded: state >> 32)) / 2_147_483_648 * scale
        }
    }

    private static func buffer(_ values: [Float], _ precision: OperandType) -> NumberBuffer {
        let result = NumberBuffer(precision, count: values.count)
        result.set(values)
        return result
    }

    private static func values(_ buffer: NumberBuffer) -> [Float] {
        var result = [Float](repeating: 0, count: buffer.count)
        buffer.copy(to: &result, count: buffer.count)
        return result
    }

    /// What rows of bytes stand for, and the scale of each.
    private static func meaning(_ rows: Int8.Rows, _ columns: Int) -> [(values: [Float], scale: Float)] {
        (0..<rows.scales.count).map { row in
            let bytes = (row * columns..<(row + 1) * columns).map { rows.bytes.base[$0] }
            let (scale, offset) = (rows.scales.base[row], rows.offsets.base[row])
            return (Reference.dequantized(bytes, scale: scale, offset: offset), scale)
        }
    }

    @Test(arguments: [(1, 5), (3, 16), (4, 197)], [OperandType.f32, .bf16])
    func rowsAreRoundedToTheNearestStep(_ shape: (Int, Int), _ precision: OperandType) {
        let (rows, columns) = shape
        let source = Self.buffer(Self.noise(rows * columns, 1, scale: 3), precision)
        let values = Self.values(source)
        let result = Int8.Rows(rows: rows, columns: columns)
        Int8.quantize(source, into: result, rows: rows, columns: columns)
        for row in 0..<rows {
            let (bytes, scale, offset) = Reference.quantized(Array(values[row * columns..<(row + 1) * columns]))
            #expect(abs(result.scales.base[row] - scale) <= scale * 1e-6)
            #expect(abs(result.offsets.base[row] - offset) <= scale * 1e-3)
            for column in 0..<columns {
                #expect(abs(Int(result.bytes.base[row * columns + column]) - Int(bytes[column])) <= 1)
            }
        }
        for (row, (found, scale)) in Self.meaning(result, columns).enumerated() {
            for column in 0..<columns {
                #expect(abs(found[column] - values[row * columns + column]) <= scale * 0.5001)
            }
        }
    }

    @Test(arguments: [0, 1.25, -3] as [Float]) func aRowOfOneValueKeepsIt(_ value: Float) {
        let result = Int8.Rows(rows: 1, columns: 20)
        Int8.quantize(Self.buffer([Float](repeating: value, count: 20), .f32), into: result, rows: 1, columns: 20)
        #expect(Self.meaning(result, 20)[0].values.allSatisfy { $0 == value })
    }

    /// Both ends of a row's range are bytes' ends, wherever the range lies.
    @Test(arguments: [(-1, 3), (5, 6), (-9, -2)] as [(Float, Float)])
    func theWholeRangeIsUsed(_ least: Float, _ most: Float) {
        let result = Int8.Rows(rows: 1, columns: 33)
        let values = (0..<33).map { least + (most - least) * Float($0) / 32 }
        Int8.quantize(Self.buffer(values, .f32), into: result, rows: 1, columns: 33)
        #expect(result.bytes.base[0] == 0 && result.bytes.base[32] == 255)
    }

    @Test(arguments: [(2, 7), (3, 48)]) func layerNormIsRounded(_ rows: Int, _ columns: Int) {
        let source = FloatBuffer(Self.noise(rows * columns, 2, scale: 4))
        let (scale, shift) = (FloatBuffer(Self.noise(columns, 3)), FloatBuffer(Self.noise(columns, 4)))
        let result = Int8.Rows(rows: rows, columns: columns)
        Int8.layerNorm(
            source, scale: scale, shift: shift, epsilon: 1e-6, into: result, row: FloatBuffer(count: columns),
            rows: rows)
        for (row, (found, step)) in Self.meaning(result, columns).enumerated() {
            let expected = Reference.layerNorm(
                Array(source.elements[row * columns..<(row + 1) * columns]), scale: Array(scale.elements),
                shift: Array(shift.elements), epsilon: 1e-6)
            for column in 0..<columns { #expect(abs(found[column] - expected[column]) <= step * 0.501 + 1e-5) }
        }
    }

    @Test(
        arguments: [Activation.gelu, .geluTanh, .swish(alpha: 1), .swish(alpha: 1.702), .relu], [false, true])
    func activationsAreRounded(_ activation: Activation, _ isGated: Bool) {
        for precision in [OperandType.f32, .bf16] {
            let (rows, columns) = (3, 37)
            let source = Int8.Rows(rows: rows, columns: 1)
            for (row, scale) in [0.5, 1, 0.25].enumerated() {
                (source.scales.base[row], source.offsets.base[row]) = (Float(scale), Float(row) - 0.5)
            }
            let factor = FloatBuffer(Self.noise(columns, 30).map { 1 + 0.5 * $0 })
            func products(_ seed: UInt64) -> Int8.Products {
                Int8.Products(
                    Self.buffer(Self.noise(rows * columns, seed, scale: 900), precision),
                    Int8.Scaling(
                        scale: FloatBuffer(Self.noise(columns, seed + 1, scale: 0.01)),
                        sum: FloatBuffer(Self.noise(columns, seed + 3)),
                        bias: FloatBuffer(Self.noise(columns, seed + 2))))
            }
            let (first, up) = (products(10), isGated ? products(20) : nil)
            let result = Int8.Rows(rows: rows, columns: columns)
            Int8.activate(
                first, up: up, activation, factor: factor, of: source, into: result, row: FloatBuffer(count: columns),
                rows: rows)
            func value(_ layer: Int8.Products, _ row: Int, _ column: Int) -> Double {
                let product = Double(Self.values(layer.values)[row * columns + column] * source.scales.base[row])
                let offset = Double(source.offsets.base[row] * layer.scaling.sum.base[column])
                return product * Double(layer.scaling.scale.base[column]) + offset
                    + Double(layer.scaling.bias.base[column])
            }
            for (row, (found, step)) in Self.meaning(result, columns).enumerated() {
                for column in 0..<columns {
                    let expected =
                        Reference.apply(activation, to: value(first, row, column))
                        * (up.map { value($0, row, column) } ?? 1) * Double(factor.base[column])
                    #expect(abs(Double(found[column]) - expected) <= Double(step) * 0.51 + 3e-4)
                }
            }
        }
    }

    /// A layer in eight bits is the product of what its rounded operands stand for.
    @Test(
        .enabled(if: Int8.isSupported, "the processor has no instructions for int8"),
        arguments: [(1, 48, 16), (17, 192, 96), (65, 33, 70)])
    func aLayerIsTheProductOfItsRoundedOperands(_ rows: Int, _ inputs: Int, _ outputs: Int) throws {
        let engine = try KernelEngine()
        let kernel = try Kernel.products(engine, rows: rows, inputs: inputs, outputs: outputs, result: .f32)
        let weight = Int8.Weight(Self.noise(outputs * inputs, 6), outputs: outputs)
        let source = Int8.Rows(rows: rows, columns: inputs)
        Int8.quantize(Self.buffer(Self.noise(rows * inputs, 7), .f32), into: source, rows: rows, columns: inputs)
        let products = FloatBuffer(count: rows * outputs)
        try KernelCall(
            kernel, source: Operand(source.bytes),
            weights: Operand(try kernel.pack(weight.floats)),
            bias: FloatBuffer(weight.sums.map { Float(-128 * $0) }), destination: Operand(products),
            scratch: FloatBuffer(count: kernel.scratchCount)
        ).run()
        let scaling = Int8.Scaling(weight, bias: FloatBuffer(Self.noise(outputs, 8)))
        let layer = Int8.Products(.f32(products), scaling)
        let result = FloatBuffer([Float](repeating: 0.5, count: rows * (outputs + 3)))
        Int8.dequantize(layer, of: source, into: Operand(result), rows: rows, stride: outputs + 3)
        let sum = FloatBuffer([Float](repeating: 0.25, count: rows * outputs))
        Int8.add(layer, of: source, to: sum, rows: rows)
        let meaning = Self.meaning(source, inputs)
        for row in 0..<rows {
            for output in 0..<outputs {
                var expected = Double(scaling.bias.base[output])
                for input in 0..<inputs {
                    let value = Float(weight.values[output * inputs + input]) * weight.scale[output]
                    expected += Double(meaning[row].values[input]) * Double(value)
                }
                #expect(abs(Double(result.base[row * (outputs + 3) + output]) - expected) < 1e-4)
                #expect(abs(Double(sum.base[row * outputs + output]) - 0.25 - expected) < 1e-4)
            }
        }
    }
}

/// Loops of the forward pass in bfloat16 against their readable versions.
@Suite struct BFloat16ForwardTests {
    @Test(arguments: [(2, 7), (3, 192)]) func layerNorm(_ rows: Int, _ columns: Int) {
        let source = FloatBuffer((0..<rows * columns).map { Float(($0 * 53) % 89) / 9 })
        let scale = (0..<columns).map { Float($0 % 5) - 1.5 }
        let shift = (0..<columns).map { Float($0 % 3) }
        let result = BFloat16Buffer(count: rows * columns)
        BFloat16.layerNorm(
            source.base, scale: scale, shift: shift, epsilon: 1e-6, into: result.base, rows: rows, columns: columns)
        var found = [Float](repeating: 0, count: rows * columns)
        BFloat16.widen(result.base, into: &found, count: found.count)
        for row in 0..<rows {
            let expected = Reference.layerNorm(
                Array(source.elements[row * columns..<(row + 1) * columns]), scale: scale, shift: shift, epsilon: 1e-6)
            for column in 0..<columns {
                let value = expected[column]
                #expect(abs(found[row * columns + column] - value) <= abs(value) * 0x1p-8 + 1e-5)
            }
        }
    }
}
