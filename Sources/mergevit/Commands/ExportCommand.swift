import Adapters
import ArgumentParser
import Datasets
import Images
import Labelling
import Logging
import VisionTransformers

/// `mergevit export`.
struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write one task of a merged model as a Hugging Face classification checkpoint.",
        discussion: """
            AutoModelForImageClassification.from_pretrained(FOLDER) and AutoImageProcessor load the folder; logits are those of \
            the merged model. The backbone is written whole, in 32-bit floats. A head that was aligned with the merged \
            backbone (merge --align) reads more than transformers' classes give it and is refused; DINOv2's is not.

            Exit codes: 0 written, 2 wrong usage, 3 the model or the output cannot be used, 130 or 143 stopped by a signal.
            """)

    @Option(help: "The folder of the merged model.")
    var bundle: String

    @Option(help: "The task (default: the only one).")
    var task: String?

    @Option(name: [.customShort("o"), .customLong("output")], help: "The folder to write.")
    var output: String

    @Flag(help: "Replace an exported classifier that is there already.")
    var force = false

    @Flag(name: [.customShort("q"), .customLong("quiet")], help: "Say nothing on stderr but errors.")
    var isQuiet = false

    func validate() throws { try RawArguments.checkText([bundle, output] + [task].compactMap(\.self)) }

    func run() throws {
        let model = try ModelBundle(folder: bundle)
        try ModelBundle.check(model.backbone, heads: model.heads)
        let names = model.heads.map(\.task)
        guard let task = task ?? (names.count == 1 ? names[0] : nil) else {
            throw ValidationError("Give a --task; there are \(names.joined(separator: ", ")).")
        }
        guard names.contains(task) else { throw UnknownTask(task, tasks: names) }
        let folder = try AtomicFolder(
            output, replaces: force, marker: ClassifierExport.recordName, kind: ClassifierExport.kind)
        Interruption.ends { folder.discard() }
        do {
            let (architecture, head) = try ClassifierExport.write(model, task: task, to: folder)
            // What is written is what label accepts, or it is not written.
            let written = try ModelBundle(folder: folder.path("."))
            try ModelBundle.check(written.backbone, heads: written.heads)
            try folder.commit()
            guard !isQuiet else { return }
            if model.preprocessing.resize != .pillow {
                Warnings.logger(quiet: false).warning(
                    """
                    the bundle resizes as torchvision, which no file of a checkpoint says; label needs --resize torchvision
                    """)
            }
            let count = head.classes.count
            StandardStream.error.write(
                "wrote \(task) as \(architecture) with \(count) class\(count == 1 ? "" : "es") to \(output)\n")
        } catch {
            folder.discard()
            throw error
        }
    }
}
