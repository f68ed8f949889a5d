import Compute
import Tensors
import TestSupport
import Testing

/// The loops over bfloat16 numbers give what the definition says, to the last bit.
@Suite struct BFloat16Tests {
    /// Numbers of every kind: ties to either side, the smallest and the largest, infinities.
    static let special: [Float] = {
        let patterns: [UInt32] = [
            0x0000_0000, 0x3F80_0000, 0x3F80_7FFF, 0x3F80_8000, 0x3F80_8001, 0x3F81_7FFF, 0x3F81_8000, 0x3F81_8001,
            0x7F7F_7FFF, 0x7F7F_8000, 0x7F7F_FFFF, 0x7F80_0000, 0x0080_0000, 0x007F_FFFF, 0x007F_8000, 0x0000_0001,
            0x0000_7FFF, 0x0000_8000, 0x0000_8001, 0x0001_8000, 0x0040_C000,
        ]
        return (patterns + patterns.map { $0 | 0x8000_0000 }).map(Float.init(bitPattern:))
    }()

    func rounded(_ values: [Float]) -> [UInt16] {
        let result = BFloat16Buffer(count: values.count)
        BFloat16.round(values, into: result.base, count: values.count)
        return Array(UnsafeBufferPointer(start: result.base, count: values.count))
    }

    func bits(_ values: [Float]) -> [UInt16] {
        values.map { UInt16(Reference.bfloat16($0).bitPattern >> 16) }
    }

    @Test func roundsToTheNearestAndToEven() {
        var noise = Noise(state: 51)
        // Every length that vectors and what is left after them may have.
        for values in [Self.special, noise.values(1000)] + (1..<40).map({ noise.values($0) }) {
            #expect(rounded(values) == bits(values))
        }
        #expect(rounded([1.003_906_25, 1.011_718_75]) == [0x3F80, 0x3F82])
    }

    @Test func everyNumberIsItself() {
        let all = (0...UInt16.max).filter { $0 & 0x7FFF <= 0x7F80 }
        let (numbers, floats) = (BFloat16Buffer(count: all.count), FloatBuffer(count: all.count))
        numbers.base.update(from: all, count: all.count)
        BFloat16.widen(numbers.base, into: floats.base, count: all.count)
        #expect(zip(all, floats.elements).allSatisfy { $1.bitPattern == UInt32($0) << 16 })
        #expect(rounded(Array(floats.elements)) == all)
    }

    @Test func notANumberStaysOne() {
        let patterns: [UInt32] = [0x7FC0_0000, 0xFFC0_0000, 0x7F80_0001, 0xFF80_0001, 0x7FFF_FFFF, 0xFFFF_FFFF]
        for (pattern, result) in zip(patterns, rounded(patterns.map(Float.init(bitPattern:)))) {
            #expect(result & 0x7F80 == 0x7F80 && result & 0x7F != 0 && result >> 15 == UInt16(pattern >> 31))
        }
    }

    @Test(arguments: [1, 16, 53])
    func vectors(count: Int) {
        var noise = Noise(state: 52)
        let (a, b) = (noise.values(count).map(Reference.bfloat16), noise.values(count).map(Reference.bfloat16))
        let more = noise.values(count)
        func buffer(_ values: [Float]) -> NumberBuffer {
            let result = NumberBuffer(.bf16, count: count)
            result.round(values, count: count)
            return result
        }
        func floats(_ buffer: NumberBuffer) -> [Float] {
            let result = FloatBuffer(count: count)
            buffer.copy(to: result.base, count: count)
            return Array(result.elements)
        }
        let (first, second, product) = (buffer(a), buffer(b), buffer(a))
        product.setProduct(product, second, count: count)
        #expect(floats(product) == zip(a, b).map { Reference.bfloat16($0 * $1) })
        first.add(more, count: count)
        #expect(floats(first) == zip(a, more).map { Reference.bfloat16($0 + $1) })
        first.clear(0..<count)
        #expect(floats(first).allSatisfy { $0 == 0 })
    }

    @Test(arguments: [(1, 1), (5, 17), (65, 65), (3, 197)])
    func softmaxBackward(rows: Int, columns: Int) {
        var noise = Noise(state: 53)
        let probabilities = (0..<rows).map { _ in
            Reference.softmax(noise.values(columns).map { $0 * 5 }).map(Reference.bfloat16)
        }
        let gradient = (0..<rows).map { _ in noise.values(columns) }
        let result = BFloat16Buffer(count: rows * columns)
        BFloat16.softmaxBackward(
            probabilities: rounded(probabilities.flatMap(\.self)), gradient: gradient.flatMap(\.self),
            into: result.base, rows: rows, columns: columns)
        let found = (0..<rows * columns).map { Float(bitPattern: UInt32(result.base[$0]) << 16) }
        let expected = zip(gradient, probabilities).flatMap { Reference.softmaxBackward($0, probabilities: $1) }
        // Half of the last of 8 bits, of the largest number.
        #expect(distance(found, expected) < 0x1p-8)
    }
}

/// Products of bfloat16 operands against the reference on the same rounded operands: what differs is the order of the
/// f32 sums, and the last rounding where the result is bfloat16.
@Suite(.enabled(if: OperandType.bf16.isSupported, "the processor has no instructions for bf16"))
struct BFloat16KernelTests {
    let engine: KernelEngine
    init() throws { engine = try KernelEngine() }

    /// Values that are bfloat16 already, and memory that holds them as that.
    private func operand(_ noise: inout Noise, _ count: Int) -> (values: [Float], buffer: NumberBuffer) {
        let values = noise.values(count).map(Reference.bfloat16)
        let buffer = NumberBuffer(.bf16, count: count)
        buffer.round(values, count: count)
        return (values, buffer)
    }

    private func floats(_ buffer: NumberBuffer) -> [Float] {
        let result = FloatBuffer(count: buffer.count)
        buffer.copy(to: result.base, count: buffer.count)
        return Array(result.elements)
    }

    private func tolerance(_ result: OperandType) -> Float { result == .f32 ? 2e-6 : 0x1p-8 }

    @Test(arguments: KernelTests.activations, [(1, 7, 5), (17, 48, 96), (65, 192, 64), (77, 96, 72), (3, 1, 1)])
    func linear(_ activation: Activation?, _ shape: (Int, Int, Int)) throws {
        let (rows, inputs, outputs) = shape
        for (result, multiplies, accumulates) in [
            (OperandType.f32, false, false), (.bf16, false, false), (.f32, false, true), (.bf16, true, true),
        ] {
            var noise = Noise(state: 61)
            let source = operand(&noise, rows * inputs)
            let weight = noise.values(outputs * inputs)
            let bias = noise.values(outputs)
            let (factor, before) = (operand(&noise, rows * outputs), operand(&noise, rows * outputs))
            let kernel = try Kernel.linear(
                engine, rows: rows, inputs: inputs, outputs: outputs, activation: activation, multiplies: multiplies,
                accumulates: accumulates, operands: .bf16, result: result)
            let packed = try kernel.pack(weight)
            let to = result == .bf16 ? before.buffer : .f32(FloatBuffer(before.values))
            try KernelCall(
                kernel, source: Operand(source.buffer), weights: Operand(packed), bias: FloatBuffer(bias),
                multiplier: Operand(factor.buffer), destination: Operand(to),
                scratch: FloatBuffer(count: kernel.scratchCount)
            ).run()
            let product = Reference.linear(
                source.values, weight: weight.map(Reference.bfloat16), bias: bias, rows: rows, inputs: inputs,
                outputs: outputs, activation: activation)
            let expected = product.indices.map {
                product[$0] * (multiplies ? factor.values[$0] : 1) + (accumulates ? before.values[$0] : 0)
            }
            #expect(distance(floats(to), expected) < tolerance(result))
        }
    }

    @Test(arguments: [(1, 7, 5), (17, 48, 96), (65, 192, 64), (77, 72, 96)], [OperandType.f32, .bf16])
    func linearSourceGradient(_ shape: (Int, Int, Int), _ result: OperandType) throws {
        let (rows, inputs, outputs) = shape
        var noise = Noise(state: 62)
        let gradient = operand(&noise, rows * outputs)
        let weight = noise.values(outputs * inputs)
        let kernel = try Kernel.linear(
            engine, rows: rows, inputs: outputs, outputs: inputs, hasBias: false, operands: .bf16, result: result)
        let packed = try kernel.pack(weight, transposed: true)
        let to = NumberBuffer(result, count: rows * inputs)
        try KernelCall(
            kernel, source: Operand(gradient.buffer), weights: Operand(packed), destination: Operand(to),
            scratch: FloatBuffer(count: kernel.scratchCount)
        ).run()
        let expected = Reference.linearBackward(
            gradient.values, source: [Float](repeating: 0, count: rows * inputs),
            weight: weight.map(Reference.bfloat16), rows: rows, inputs: inputs, outputs: outputs)
        #expect(distance(floats(to), expected.source) < tolerance(result))
    }

    @Test(arguments: [(false, false), (false, true), (true, false)], [OperandType.f32, .bf16])
    func productOfPartsOfLargerMatrices(_ transposed: (source: Bool, other: Bool), _ result: OperandType) throws {
        let (m, k, n, stride) = (7, 12, 9, 50)
        for accumulates in [false, true] {
            var noise = Noise(state: 63)
            let (whole, before) = (operand(&noise, 60 * stride), operand(&noise, m * n))
            let kernel = try Kernel.product(
                engine, m: m, k: k, n: n, sourceStride: stride, sourceTransposed: transposed.source,
                otherStride: stride, transposed: transposed.other, outputStride: n, accumulates: accumulates,
                operands: .bf16, result: result)
            let to = result == .bf16 ? before.buffer : .f32(FloatBuffer(before.values))
            try KernelCall(
                kernel, source: Operand(whole.buffer, offset: 5), weights: Operand(whole.buffer, offset: 20),
                destination: Operand(to), scratch: FloatBuffer(count: kernel.scratchCount)
            ).run()
            let source = (0..<m * k).map { index in
                let (row, inner) = (index / k, index % k)
                return whole.values[5 + (transposed.source ? inner * stride + row : row * stride + inner)]
            }
            let other = (0..<n * k).map { index in
                let (output, inner) = (index / k, index % k)
                return whole.values[20 + (transposed.other ? output * stride + inner : inner * stride + output)]
            }
            let product = Reference.linear(source, weight: other, bias: nil, rows: m, inputs: k, outputs: n)
            let expected = product.indices.map { product[$0] + (accumulates ? before.values[$0] : 0) }
            #expect(distance(floats(to), expected) < tolerance(result))
        }
    }

    @Test(arguments: [Activation.gelu, .geluTanh, .swish(alpha: 1), .swish(alpha: 1.702), .relu])
    func activation(_ activation: Activation) throws {
        let (rows, columns) = (5, 67)
        var noise = Noise(state: 64)
        let source = noise.values(rows * columns).map { Reference.bfloat16($0 * 6) }
        let gradient = operand(&noise, rows * columns)
        let (from, to) = (NumberBuffer(.bf16, count: source.count), NumberBuffer(.bf16, count: source.count))
        from.round(source, count: source.count)
        let forward = try Kernel.activation(engine, activation, rows: rows, columns: columns, type: .bf16)
        let backward = try Kernel.activationBackward(engine, activation, rows: rows, columns: columns, type: .bf16)
        let scratch = FloatBuffer(count: max(forward.scratchCount, backward.scratchCount))
        try KernelCall(forward, source: Operand(from), destination: Operand(to), scratch: scratch).run()
        try KernelCall(
            backward, source: Operand(from), multiplier: Operand(gradient.buffer),
            destination: Operand(gradient.buffer), scratch: scratch
        ).run()
        #expect(distance(floats(to), source.map { Float(Reference.apply(activation, to: Double($0))) }) < 0x1p-8)
        let expected = zip(source, gradient.values).map {
            Float(Reference.derivative(activation, at: Double($0)) * Double($1))
        }
        #expect(distance(floats(gradient.buffer), expected) < 0x1p-8)
    }

    @Test func operandsOfAnotherPrecisionAreRefused() throws {
        let kernel = try Kernel.product(
            engine, m: 2, k: 2, n: 2, sourceStride: 2, otherStride: 2, transposed: false, outputStride: 2,
            operands: .bf16, result: .f32)
        let (floats, numbers) = (Operand(FloatBuffer([1, 2, 3, 4])), Operand(NumberBuffer(.bf16, count: 4)))
        let scratch = FloatBuffer(count: kernel.scratchCount)
        func bind(_ source: Operand, _ weights: Operand, _ destination: Operand) throws(ComputeError) -> KernelCall {
            try KernelCall(kernel, source: source, weights: weights, destination: destination, scratch: scratch)
        }
        _ = try bind(numbers, numbers, floats)
        for (source, weights, destination, reason) in [
            (floats, numbers, floats, "expected BF16, found F32"),
            (numbers, floats, floats, "expected BF16, found F32"),
            (numbers, numbers, numbers, "expected F32, found BF16"),
        ] {
            let error = #expect(throws: ComputeError.self) { try bind(source, weights, destination) }
            #expect(error?.reason == reason)
        }
        #expect(throws: ComputeError.self) {
            try Kernel.linear(engine, rows: 2, inputs: 2, outputs: 2, operands: .f32, result: .bf16)
        }
    }
}
