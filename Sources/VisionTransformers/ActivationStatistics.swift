import Compute
import Glibc
import Tensors

/// What int8 wants to know of a backbone's activations: mean and deviation of every channel that linear layers read, for each
/// block and place but the MLP's hidden values, for which it makes no difference.
///
/// They choose how inputs are shifted and scaled before they are rounded (see `Int8Folding`), which cancels out but for rounding: those of
/// other images, or of another backbone, cost accuracy and nothing else.
public struct ActivationStatistics: Sendable, Equatable {
    /// Of one place: an element for each channel.
    public struct Channels: Sendable, Equatable {
        /// The mean over tokens and images.
        public var mean: [Float]
        /// The standard deviation.
        public var deviation: [Float]
    }

    /// The file's name beside a backbone's `model.safetensors`.
    public static let fileName = "int8.safetensors"

    /// The places that are measured.
    static let places: [(place: LayerInput.Place, name: String)] = [
        (.attentionInput, "attention_input"), (.attentionOutput, "attention_output"), (.mlpInput, "mlp_input"),
    ]

    private var channels: [String: Channels] = [:]

    /// Of one place, or nil when it is not measured.
    public subscript(layer: Int, place: LayerInput.Place) -> Channels? {
        Self.places.first { $0.place == place }.flatMap { channels[Self.key(layer, $0.name)] }
    }

    private static func key(_ layer: Int, _ name: String) -> String { "layers.\(layer).\(name)" }

    /// Measures a backbone over images, on one thread, so that sums are always added in the same order.
    ///
    /// - Parameters:
    ///   - source: the backbone.
    ///   - imageSize: what preprocessing gives.
    ///   - images: how many there are; at least one.
    ///   - prepare: writes the patches of an image.
    /// - Throws: `ModelError` without images or when the size does not fit; `TensorFileError`, `ComputeError`.
    public init(
        _ source: some ParameterSource, configuration: BackboneConfiguration,
        imageSize: BackboneConfiguration.Extent, images: Int,
        prepare: (_ image: Int, _ patches: UnsafeMutableBufferPointer<Float>) throws -> Void
    ) throws {
        guard images > 0 else { throw ModelError("calibration images", "expected at least one, found none") }
        let model = try MultitaskModel(
            source, configuration: configuration, heads: [], imageSize: imageSize, threads: 1, givesAllTokens: true)
        let sums = Sums(layers: configuration.layers, width: configuration.hiddenSize)
        let patches = FloatBuffer(count: model.inputCount)
        for image in 0..<images {
            try prepare(image, patches.elements)
            try model.observe(patches.base, images: 1) { _, layer, place, values, rows, _ in
                sums.add(layer, place, values, rows)
            }
        }
        for layer in 0..<configuration.layers {
            for (index, place) in Self.places.enumerated() {
                channels[Self.key(layer, place.name)] = sums.channels(layer, index)
            }
        }
    }

    /// Reads the statistics of a backbone, or gives nil when the folder has none.
    ///
    /// - Throws: `TensorFileError` when the file is damaged; `ModelError` when it is that of another shape.
    public init?(folder: String, _ configuration: BackboneConfiguration) throws {
        let path = "\(folder)/\(Self.fileName)"
        guard access(path, F_OK) == 0 else { return nil }
        let file = try SafetensorsFile(path: path)
        for layer in 0..<configuration.layers {
            for (_, name) in Self.places {
                let key = Self.key(layer, name)
                func values(_ part: String) throws -> [Float] {
                    let tensor = try file.tensor("\(key).\(part)")
                    guard tensor.shape == [configuration.hiddenSize] else {
                        throw ModelError(
                            path, "\(key).\(part): expected [\(configuration.hiddenSize)], found \(tensor.shape)")
                    }
                    guard tensor.values.allSatisfy(\.isFinite) else {
                        throw ModelError(path, "\(key).\(part): expected finite numbers")
                    }
                    return tensor.values
                }
                channels[key] = Channels(mean: try values("mean"), deviation: try values("deviation"))
            }
        }
    }

    /// A checksum of all names and numbers.
    var checksum: UInt64 {
        let values = channels.sorted { $0.key < $1.key }
        let names = Array(values.map(\.key).joined(separator: "\n").utf8)
        let sums =
            [names.withUnsafeBytes { Compute.checksum($0) }]
            + values.flatMap { [$0.value.mean, $0.value.deviation] }.map { $0.withUnsafeBytes { Compute.checksum($0) } }
        return sums.withUnsafeBytes { Compute.checksum($0) }
    }

    /// Writes them.
    ///
    /// - Throws: `TensorFileError` when the file cannot be written.
    public func write(folder: String) throws {
        let tensors = channels.keys.sorted().flatMap { key -> [(String, Tensor)] in
            guard let own = channels[key] else { return [] }
            return [
                ("\(key).mean", Tensor(shape: [own.mean.count], values: own.mean)),
                ("\(key).deviation", Tensor(shape: [own.deviation.count], values: own.deviation)),
            ]
        }
        try writeSafetensors(tensors, to: "\(folder)/\(Self.fileName)")
    }
}

/// Sums over tokens and images of values and squares, in double precision. Used by one thread.
private final class Sums: @unchecked Sendable {
    private let width: Int
    private var sums, squares: [Double]
    private var rows: [Int]
    private let places = ActivationStatistics.places.count

    init(layers: Int, width: Int) {
        self.width = width
        sums = [Double](repeating: 0, count: layers * ActivationStatistics.places.count * width)
        squares = sums
        rows = [Int](repeating: 0, count: layers * ActivationStatistics.places.count)
    }

    func add(_ layer: Int, _ place: LayerInput.Place, _ values: UnsafePointer<Float>, _ count: Int) {
        guard let index = ActivationStatistics.places.firstIndex(where: { $0.place == place }) else { return }
        let slot = layer * places + index
        rows[slot] += count
        for row in 0..<count {
            for channel in 0..<width {
                let value = Double(values[row * width + channel])
                sums[slot * width + channel] += value
                squares[slot * width + channel] += value * value
            }
        }
    }

    func channels(_ layer: Int, _ index: Int) -> ActivationStatistics.Channels {
        let slot = layer * places + index
        let count = Double(max(rows[slot], 1))
        let means = sums[slot * width..<(slot + 1) * width].map { $0 / count }
        let variances = zip(squares[slot * width..<(slot + 1) * width], means).map { max($0 / count - $1 * $1, 0) }
        return .init(mean: means.map { Float($0) }, deviation: variances.map { Float($0.squareRoot()) })
    }
}
