import Adapters
import ArgumentParser
import Images
import Labelling
import Logging
import Tensors
import VisionTransformers

/// The options about unlabelled images that a merge is compared with its single adapters on.
struct CalibrationOptions: ParsableArguments {
    @Option(
        name: .customLong("calibration"),
        help: "Unlabelled images, as NAME=DIR for one task or DIR for all; may be repeated.")
    var folders: [String] = []

    @Flag(help: "Align each head with the merged backbone on the calibration images.")
    var align = false

    @Option(help: "The rank of the alignment (default: full).")
    var alignRank: Int?

    @Flag(help: "Choose the scale by the calibration images.")
    var tune = false

    @Option(
        help:
            "Find the fewest groups of tasks that keep all but this percentage of each single adapter's labels; aligns."
    )
    var maxDrop: Double?

    /// The scales that `--tune` tries.
    static let scales = [0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.8, 1, 1.25, 1.5, 2, 2.5, 3]

    func validate() throws {
        try RawArguments.checkText(folders)
        guard !isUsed || !folders.isEmpty else {
            throw ValidationError("--align, --tune and --max-drop need --calibration.")
        }
        if let maxDrop, !(maxDrop >= 0 && maxDrop <= 100) {
            throw ValidationError("--max-drop must be from 0 to 100, not \(maxDrop).")
        }
        guard align || alignRank == nil else { throw ValidationError("--align-rank needs --align.") }
        if let alignRank, alignRank < 1 { throw ValidationError("--align-rank must be at least 1, not \(alignRank).") }
    }

    /// Whether there is anything to do with calibration images.
    var isUsed: Bool { align || tune || maxDrop != nil }

    /// Reads the images and makes a calibrator for the adapters' tasks.
    func calibrator(
        base: Checkpoint, adapters: [WeightedAdapter], threads: Int, log: Logger
    ) throws -> Calibrator {
        let preprocessing = try ModelBundle.preprocessing(base.folder)
        let configuration = base.configuration
        let preparer = PatchPreparer(preprocessing, configuration: configuration, decoding: DecodingOptions())
        let images = try adapters.map { item in
            let task = item.adapter.task
            let prepared = try PreparedImages(paths(of: task), preparer: preparer)
            if let first = prepared.skipped.first {
                log.warning(
                    "\(task): \(prepared.skipped.count) calibration files left out, the first \(first.path): \(first.reason)"
                )
            }
            return calibrationImages(task, prepared.pictures, preprocessing, configuration.patchSize)
        }
        return try Calibrator(
            base: base, adapters: adapters, images: images, imageSize: configuration.inputSize(preprocessing),
            threads: threads)
    }

    private func calibrationImages(
        _ task: String, _ pictures: [RGBImage], _ preprocessing: Preprocessing,
        _ patch: BackboneConfiguration.Extent
    ) -> CalibrationImages {
        CalibrationImages(task: task, count: pictures.count) { index, patches in
            preprocessing.writePatches(
                of: pictures[index], patchHeight: patch.height, patchWidth: patch.width, into: patches)
        }
    }

    /// The folders of a task: its own, and those for all.
    private func paths(of task: String) -> [BytePath] {
        folders.compactMap { folder in
            guard let named = NamedValue(argument: folder) else { return BytePath(folder) }
            return named.name == task ? BytePath(named.value) : nil
        }
    }
}
