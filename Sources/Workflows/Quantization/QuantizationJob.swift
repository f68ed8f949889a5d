import Adapters
import Datasets
package import Files
import Images
import Tensors
package import VisionTransformers

/// Rounds a merged model to eight bits for some images, and compares its labels with those before on others.
package struct QuantizationJob {
    /// The bundle's folder.
    package let bundle: String
    /// Folders of images.
    package let folders: [Folder]
    /// How many images are rounded for.
    package let images: Int
    /// The mean share of labels that token merging is to keep; nil for none.
    package let keep: Double?
    /// The folder to write.
    package let output: String
    /// Whether a bundle that exists is replaced.
    package let replaces: Bool
    /// How many images are computed at the same time.
    package let threads: Int

    /// A folder of images, searched with all below it, or a table that names them; of one that is divided into splits
    /// the training images.
    package struct Folder: Sendable {
        /// Its path.
        package let path: String
        /// The task whose images it holds; nil for any.
        package let task: String?

        /// A folder.
        package init(_ path: String, task: String? = nil) { (self.path, self.task) = (path, task) }
    }

    /// Rounds a bundle for images.
    package init(
        bundle: String, folders: [Folder], images: Int, keep: Double? = nil, output: String, replaces: Bool,
        threads: Int
    ) {
        (self.bundle, self.folders, self.images, self.keep) = (bundle, folders, images, keep)
        (self.output, self.replaces, self.threads) = (output, replaces, threads)
    }

    /// What came of it.
    package struct Outcome {
        /// How many images the model was rounded for.
        package let images: Int
        /// What is left in floats because of its error; nil where that could not be measured.
        package let floats: [BlockSublayer]?
        /// How many labels are kept; nil where the processor has no int8, and of a bundle without tasks.
        package let agreement: LabelAgreement?
        /// What was found of token merging, if it was looked for.
        package let tokenMerging: KeptTokenMerging?
        /// The tasks whose heads were aligned with it.
        package let alignedTasks: [String]
        /// Whether labels were compared on other images than it was rounded for.
        package let isComparedOnOthers: Bool
    }

    /// How many pictures labels are compared on for each that is rounded for: enough to tell 99 % of them from 98.
    private static let others = 4
    /// On how many of the pictures that are rounded for the error of each sublayer is measured.
    private static let measuredBySublayer = 32

    /// Pictures to round for, and those to compare labels on.
    private struct Pictures {
        /// A picture, with the task that it is of; nil for any.
        typealias Picture = (image: RGBImage, task: String?)

        var measured: [Picture] = []
        var compared: [Picture] = []

        /// Some of those to round for, evenly spread.
        func spread(_ count: Int) -> [Picture] {
            guard count < measured.count else { return measured }
            return (0..<count).map { measured[$0 * measured.count / count] }
        }
    }

    /// Rounds the bundle and writes it.
    ///
    /// - Parameters:
    ///   - begin: given what removes the unfinished output; called once, before images are read.
    ///   - warn: told what a user should know.
    /// - Throws: `ModelError` and other errors of the bundle, the images and the output.
    package func run(
        begin: (_ discard: @escaping @Sendable () -> Bool) -> Void, warn: (Warning) -> Void
    ) throws -> Outcome {
        // The folder first: a place that cannot be written should be reported before images are read.
        let folder = try AtomicFolder(output, BundleWriter.kind, replaces: replaces)
        begin { folder.discard() }
        do {
            let bundle = try ModelBundle(folder: bundle)
            let tasks = bundle.heads.map(\.task)
            if let unknown = folders.compactMap(\.task).first(where: { !tasks.contains($0) }) {
                throw UnknownTask(unknown, tasks: tasks)
            }
            try ModelBundle.check(bundle.backbone, heads: bundle.heads)
            if keep != nil { try checkTokenMerging(bundle) }
            let preparer = PatchPreparer(bundle, decoding: DecodingOptions())
            let pictures = try pictures(preparer, warn)
            let choice = try round(bundle, preparer, pictures, to: folder)
            try folder.commit()
            return Outcome(
                images: pictures.measured.count, floats: choice?.sublayers.harmful,
                agreement: choice?.sublayers.agreement, tokenMerging: choice?.tokenMerging?.merging,
                alignedTasks: choice?.tokenMerging?.heads.map(\.task) ?? [],
                isComparedOnOthers: !pictures.compared.isEmpty)
        } catch {
            folder.discard()
            throw error
        }
    }

    /// As many pictures of each folder as of the others, spread evenly over it, and more between them.
    private func pictures(_ preparer: PatchPreparer, _ warn: (Warning) -> Void) throws -> Pictures {
        var result = Pictures()
        let places = try folders.map { try CalibrationReader.trainingFolder($0.path, warn) }
        for (folderIndex, folder) in places.enumerated() {
            let share = max(images * (folderIndex + 1) / folders.count - images * folderIndex / folders.count, 1)
            let task = folders[folderIndex].task ?? ""
            let paths = try CalibrationReader.table(BytePath(folder), task)?.items.map(\.path) ?? [BytePath(folder)]
            let prepared = try LongWork.part("reading folders", folderIndex, of: folders.count) {
                try PreparedImages(paths, preparer: preparer, spread: (1 + Self.others) * share)
            }
            if let first = prepared.skipped.first {
                warn("\(prepared.skipped.count) calibration files left out, the first \(first.path): \(first.reason)")
            }
            guard !prepared.pictures.isEmpty else { throw ModelError(folder, "expected images, found none") }
            let count = prepared.pictures.count
            let measured = Set((0..<min(share, count)).map { $0 * count / min(share, count) })
            for (index, image) in prepared.pictures.enumerated() {
                let picture = (image, folders[folderIndex].task)
                if measured.contains(index) { result.measured.append(picture) } else { result.compared.append(picture) }
            }
        }
        return result
    }

    /// Refuses to look for token merging where there can be none, or where it cannot be measured.
    private func checkTokenMerging(_ bundle: ModelBundle) throws {
        let configuration = bundle.backbone.configuration
        let size = configuration.inputSize(bundle.preprocessing)
        try TokenMerging(configuration, size) { $0 == 0 ? 1 : 0 }.check(configuration, size)
        try ComputePrecision.int8.check()
        guard !bundle.heads.isEmpty else { throw ModelError(bundle.folder, "has no tasks whose labels could be kept") }
    }

    /// What is chosen by measurement.
    private struct Choice {
        /// The sublayers that are left in floats.
        let sublayers: SublayerSearch.Found
        /// The token merging, if it is looked for.
        let tokenMerging: TokenMergingSearch.Found?
    }

    /// Rounds the bundle and writes it, with what was chosen where the processor can tell how many labels it keeps.
    private func round(
        _ bundle: ModelBundle, _ preparer: PatchPreparer, _ pictures: Pictures, to folder: AtomicFolder
    ) throws -> Choice? {
        let configuration = bundle.backbone.configuration
        let roundings = try zip(bundle.groups, bundle.streams).map { group, streams in
            try QuantizedBackbone(
                group.backbone, configuration: configuration,
                imageSize: configuration.inputSize(bundle.preprocessing), images: pictures.measured.count,
                threads: threads, hasStreams: streams != nil
            ) { image, patches in
                preparer.writePatches(of: pictures.measured[image].image, into: patches)
            }
        }
        try QuantizedBundle.copy(bundle, to: folder)
        guard ComputePrecision.int8.isSupported, !bundle.heads.isEmpty else {
            try QuantizedBundle.write(
                roundings, of: bundle, floats: nil, to: folder)
            return nil
        }
        try QuantizedBundle.write(roundings, of: bundle, floats: [], to: folder)
        let sublayers = [BlockSublayer](ordered: roundings.reduce(into: []) { $0.formUnion($1.sublayers) })
        let choice = try choose(
            sublayers, bundle, rounded: ModelBundle(folder: folder.path(".")), preparer, pictures)
        try QuantizedBundle.write(
            roundings, of: bundle, floats: choice.sublayers.floats, choice.sublayers.agreement,
            tokenMerging: choice.tokenMerging?.merging, heads: choice.tokenMerging?.heads ?? [], to: folder)
        return choice
    }

    /// Chooses what of a rounded bundle is left in floats, and then the token merging.
    ///
    /// - Parameter sublayers: all that were rounded.
    private func choose(
        _ sublayers: [BlockSublayer], _ bundle: ModelBundle, rounded: ModelBundle, _ preparer: PatchPreparer,
        _ pictures: Pictures
    ) throws -> Choice {
        let compared = pictures.compared.isEmpty ? pictures.measured : pictures.compared
        let owners = compared.map(\.task)
        func logits(_ model: GroupedModel, _ pictures: [Pictures.Picture]) throws -> ModelLogits {
            try ModelLogits(model, images: pictures.count, threads: threads, keepsFeatures: keep != nil) {
                image, patches in
                preparer.writePatches(of: pictures[image].image, into: patches)
            }
        }
        func model(_ floats: Set<BlockSublayer>, _ tokenMerging: TokenMerging? = nil) throws -> GroupedModel {
            try rounded.model(threads: threads, precision: .int8, floats: floats, tokenMerging: tokenMerging)
        }
        let exact = try logits(bundle.model(threads: threads), compared)
        let measured = pictures.spread(Self.measuredBySublayer)
        let found = try SublayerSearch(sublayers, exact: exact, owners: owners).run(
            keep: keep ?? LabelAgreement.requiredShare, model: { try model($0) },
            measured: { try logits($0, measured) }, compared: { try logits($0, compared) })
        let configuration = bundle.backbone.configuration
        let merging = try keep.map { keep in
            try TokenMergingSearch(
                configuration, configuration.inputSize(bundle.preprocessing), exact: exact, unmerged: found.logits,
                owners: owners
            ).run(keep: keep) { try logits(model(found.floats, $0), compared) }
        }
        return Choice(sublayers: found, tokenMerging: merging)
    }
}
