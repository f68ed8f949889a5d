import ArgumentParser
import Images
import VisionTransformers

/// The options about how images become the model's input.
struct PreprocessorOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Take preprocessing settings from a file such as preprocessor_config.json, or those of vit, deit or dinov2.",
            valueName: "file|vit|deit|dinov2"))
    var preprocessor: String?

    @Option(
        help: """
            Resize as pillow or as torchvision, which transformers 5 uses where it is installed (default: what the bundle \
            says, else pillow).
            """)
    var resize: ResizeBackend?

    /// Where the settings come from.
    var choice: PreprocessorChoice {
        let source = preprocessor.map { name in
            PreprocessorChoice.Preset(rawValue: name).map(PreprocessorChoice.Source.preset) ?? .file(name)
        }
        return PreprocessorChoice(source: source ?? .folder, resize: resize)
    }

    func validate() throws { try RawArguments.checkText([preprocessor].compactMap(\.self)) }
}

extension ResizeBackend: ExpressibleByArgument {}
