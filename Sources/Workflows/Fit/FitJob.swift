import Adapters
import Datasets
package import Files
import Glibc
package import VisionTransformers

/// Measures what images of a bundle's tasks look like, so that `label` can say how well an image fits each task, and
/// keeps it in the bundle.
package struct FitJob {
    /// What came of a fit.
    package struct Outcome: Sendable {
        /// A task with the numbers of images that were used.
        package struct Task: Sendable {
            package let name: String
            package let fitted: Int
            package let heldOut: Int
        }

        /// The tasks that were fitted, in the order of the bundle.
        package let tasks: [Task]
        /// The tasks that have no fit.
        package let without: [String]
    }

    private let bundle: String
    private let folders: [String: [String]]
    private let pattern: NamePattern?
    private let passes: PassSettings

    /// A fit.
    ///
    /// - Parameters:
    ///   - bundle: the bundle's folder.
    ///   - folders: for each task folders of unlabelled images, or tables that name files.
    ///   - pattern: what tells which images are fitted or held out together; nil for near-duplicates by features.
    ///   - passes: how images are computed.
    package init(bundle: String, folders: [String: [String]], pattern: NamePattern?, passes: PassSettings) {
        (self.bundle, self.folders, self.pattern, self.passes) = (bundle, folders, pattern, passes)
    }

    /// Fits the tasks and writes the file beside `bundle.json`, replacing an earlier one at once. Fits of other tasks
    /// stay as they are.
    ///
    /// - Parameter warn: told what a user should know.
    /// - Throws: `UnknownTask`; `ModelError` and other errors naming what cannot be used. The bundle is then unchanged.
    package func run(warn: @escaping (Warning) -> Void) throws -> Outcome {
        let bundle = try ModelBundle(folder: bundle)
        guard bundle.manifest != nil else {
            throw ModelError(self.bundle, "a checkpoint, not a bundle: fits are kept beside bundle.json")
        }
        let tasks = bundle.heads.map(\.task)
        if let unknown = folders.keys.sorted().first(where: { !tasks.contains($0) }) {
            throw UnknownTask(unknown, tasks: tasks)
        }
        guard access(self.bundle, W_OK) == 0 else {
            throw FileError(path: self.bundle, reason: "cannot be written: \(systemReason(errno))")
        }
        let reader = try CalibrationReader(bundle.backbone, passes: passes, views: nil, summarizes: true, warn)
        let images = try reader.images(
            tasks.compactMap { task in folders[task].map { (task, $0) } }, pattern)
        let file = try Self.fits(of: bundle, images: images, summaries: reader.summaries, passes: passes)
        let path = "\(self.bundle)/\(FitFile.name)"
        let temporary = "\(self.bundle)/.\(FitFile.name).partial-\(getpid())"
        do {
            try file.write(to: temporary, tasks: Self.tasks(of: bundle))
            if let code = FileWriting.rename(BytePath(temporary), to: BytePath(path), syncs: true) {
                throw FileError(path: path, reason: systemReason(code))
            }
        } catch {
            unlink(temporary)
            throw error
        }
        return Outcome(
            tasks: images.map { images in
                let heldOut = images.indices(heldOut: true).count
                return .init(name: images.task, fitted: images.count - heldOut, heldOut: heldOut)
            },
            without: tasks.filter { file.fit($0) == nil })
    }

    /// The tasks of each group of a bundle.
    static func tasks(of bundle: ModelBundle) -> [[String]] {
        bundle.groups.map { $0.tasks.map { bundle.heads[$0].task } }
    }

    /// The fits of a bundle with those of some tasks made anew. The background of a group is made of these images,
    /// unless other tasks of the group keep their fits.
    ///
    /// - Parameters:
    ///   - images: of each task that is fitted.
    ///   - summaries: what the first group's backbone has made of all images of some tasks.
    ///   - passes: how images are computed.
    static func fits(
        of bundle: ModelBundle, images: [CalibrationImages], summaries: [String: FeatureTable], passes: PassSettings
    ) throws -> FitFile {
        var file = bundle.fits ?? FitFile(groups: bundle.groups.map { _ in nil })
        let imageSize = bundle.backbone.configuration.inputSize(bundle.preprocessing)
        for (index, tasks) in Self.tasks(of: bundle).enumerated() {
            let own = images.filter { tasks.contains($0.task) }
            guard !own.isEmpty else { continue }
            let kept = file.groups[index]?.tasks.filter { name, _ in !own.contains { $0.task == name } } ?? [:]
            let fitter = TaskFitter(
                bundle.groups[index].backbone, configuration: bundle.backbone.configuration, imageSize: imageSize,
                passes: passes)
            var group = try fitter.fit(
                own, summaries: index == 0 ? summaries : [:],
                background: kept.isEmpty ? nil : file.groups[index]?.background)
            group.tasks.merge(kept) { $1 }
            file.groups[index] = group
        }
        return file
    }
}
