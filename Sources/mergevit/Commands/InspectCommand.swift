import Adapters
import ArgumentParser
import Files
import Tensors
import VisionTransformers

/// `mergevit inspect`.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Say what a model is, or show what each stage makes of an image.",
        discussion: """
            With PATH: describes a checkpoint, an adapter, a bundle or a safetensors file.

            With --bundle (or --base, which needs no heads), --image and --dump: writes the stages of one image as a \
            safetensors file: rgb (H, W, 3), pixel_values (1, 3, h, w), hidden (1, tokens, width) and, for each task, \
            logits.TASK (1, classes). A bundle of several groups has hidden.group2 ... for those after the first.
            """)

    @Argument(help: "A checkpoint, adapter or bundle folder, or a safetensors file.")
    var path: String?

    @Flag(help: "Describe as JSON.")
    var json = false

    @Option(help: "The bundle that sees the image.")
    var bundle: String?

    @Option(help: "The checkpoint that sees the image; no heads are needed.")
    var base: String?

    @Option(help: "The image.")
    var image: String?

    @Option(help: "The safetensors file to write.")
    var dump: String?

    @OptionGroup var decoding: DecodingArguments
    @OptionGroup var preprocessor: PreprocessorOptions

    func validate() throws {
        try RawArguments.checkText([path, bundle, base, image, dump].compactMap(\.self))
        if path != nil {
            guard bundle == nil, base == nil, image == nil, dump == nil else {
                throw ValidationError("PATH is described; --bundle, --base, --image and --dump show an image's stages.")
            }
        } else {
            guard (bundle == nil) != (base == nil), image != nil, dump != nil else {
                throw ValidationError("Give a PATH to describe, or --bundle (or --base), --image and --dump.")
            }
        }
    }

    func run() throws {
        if let path {
            let description = try showingStages(isQuiet: false) { try ModelDescription.of(path) }
            StandardStream.output.write(json ? description.serialized() : ModelDescription.text(description))
        } else if let image, let dump {
            try showingStages(isQuiet: false) {
                try StageDump.write(
                    model: bundle.map(StageDump.Model.bundle) ?? .base(base ?? ""), image: image,
                    preprocessor: preprocessor.choice, decoding: decoding.options, to: dump)
            }
        }
    }
}
