import Adapters
import Datasets
import Files
import Images
import Labelling
import Logging
import Tensors
import VisionTransformers
import Workflows

/// What `mergevit quantize` does.
struct QuantizeRun {
    private let bundle: ModelBundle
    private let preparer: PatchPreparer
    private let threads: Int
    private let log: Logger

    init(_ bundle: ModelBundle, threads: Int, _ log: Logger) {
        (self.bundle, self.threads, self.log) = (bundle, threads, log)
        preparer = PatchPreparer(bundle, decoding: DecodingOptions())
    }

    /// How many pictures labels are compared on for each that is rounded for: enough to tell 99 % of them from 98.
    private static let others = 4

    /// Pictures to round for, and those to compare labels on.
    struct Pictures {
        var measured: [RGBImage] = []
        var compared: [RGBImage] = []
        /// Whether there were no others to compare labels on.
        var areSame: Bool { compared.isEmpty }
    }

    /// As many pictures of each folder as of the others, spread evenly over it, and more between them.
    ///
    /// - Parameter count: how many are rounded for.
    func pictures(_ folders: [String], count: Int) throws -> Pictures {
        var result = Pictures()
        let folders = try folders.map { try CalibrationReader.trainingFolder($0) { log.warning("\($0)") } }
        for (index, folder) in folders.enumerated() {
            let share = max(count * (index + 1) / folders.count - count * index / folders.count, 1)
            let prepared = try LongWork.part("reading folders", index, of: folders.count) {
                try PreparedImages(
                    [RawArguments.path(folder)], preparer: preparer, spread: (1 + Self.others) * share)
            }
            if let first = prepared.skipped.first {
                log.warning(
                    "\(prepared.skipped.count) calibration files left out, the first \(first.path): \(first.reason)")
            }
            guard !prepared.pictures.isEmpty else { throw ModelError(folder, "expected images, found none") }
            let found = prepared.pictures.count
            let measured = Set((0..<min(share, found)).map { $0 * found / min(share, found) })
            for (place, picture) in prepared.pictures.enumerated() {
                if measured.contains(place) { result.measured.append(picture) } else { result.compared.append(picture) }
            }
        }
        return result
    }

    /// Rounds the bundle and writes it; what its labels are worth comes with it, where the processor can tell.
    func run(_ pictures: Pictures, to folder: AtomicFolder) throws -> Int8Agreement? {
        let (configuration, preprocessing) = (bundle.backbone.configuration, bundle.preprocessing)
        let count = pictures.measured.count
        let roundings = try bundle.groups.map { group in
            try QuantizedBackbone(
                group.backbone, configuration: configuration, imageSize: configuration.inputSize(preprocessing),
                images: count, threads: threads
            ) { image, patches in
                preparer.writePatches(of: pictures.measured[image], into: patches)
            }
        }
        try QuantizedBundle.copy(bundle, to: folder)
        try QuantizedBundle.write(roundings, of: bundle, nil, to: folder)
        guard ComputePrecision.int8.isSupported, !bundle.heads.isEmpty else { return nil }
        let agreement = try agreement(
            of: ModelBundle(folder: folder.path(".")), pictures.areSame ? pictures.measured : pictures.compared)
        try QuantizedBundle.write(roundings, of: bundle, agreement, to: folder)
        return agreement
    }

    private func agreement(of rounded: ModelBundle, _ pictures: [RGBImage]) throws -> Int8Agreement {
        try Int8Agreement(
            of: rounded.model(threads: threads, precision: .int8), with: bundle.model(threads: threads),
            images: pictures.count, threads: threads
        ) { image, patches in
            preparer.writePatches(of: pictures[image], into: patches)
        }
    }
}
