import Synchronization
import Tensors
import VisionTransformers

/// Random backbones as `quantize` rounds them, each made once, with the first attention in floats.
enum QuantizedBenchmarkBackbone {
    private static let made = Mutex<[(configuration: BackboneConfiguration, quantized: QuantizedWeights)]>([])

    /// The quantized backbone of a shape, for one image of noise.
    static func weights(_ configuration: BackboneConfiguration, threads: Int) throws -> QuantizedWeights {
        try made.withLock { made in
            if let known = made.first(where: { $0.configuration == configuration }) { return known.quantized }
            let path = try CommandBenchmark.temporaryFolder()
            // The file stays mapped without its name.
            defer { CommandBenchmark.remove(path) }
            var noise = RandomBackbone.Noise(state: 11)
            try QuantizedBackbone(
                RandomBackbone(configuration), configuration: configuration, imageSize: configuration.imageSize,
                images: 1, threads: threads
            ) { _, patches in
                for index in patches.indices { patches[index] = noise.next() }
            }.write(
                folder: path, floats: [BlockSublayer(layer: 0, .attention), BlockSublayer(layer: 0, .scores)])
            guard let quantized = try QuantizedWeights(folder: path, configuration) else {
                throw ModelError(path, "expected \(QuantizedWeights.fileName), found none")
            }
            made.append((configuration, quantized))
            return quantized
        }
    }
}
