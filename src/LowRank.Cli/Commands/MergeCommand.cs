using System.CommandLine;
using LowRank.Adapters;
using LowRank.Cli.Common;
using LowRank.Models;
using LowRank.Models.Gguf;
using TorchSharp;
using static TorchSharp.torch;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank merge</c>.</summary>
internal sealed class MergeCommand : ICliCommand
{
    private const string Folder = "safetensors", Gguf = "gguf", Onnx = "onnx";

    public string Example => "lowrank merge --model models/base --adapter runs/quickstart/adapter --output merged";

    public Command Build()
    {
        var output = new Option<string>("--output")
        {
            Description = "The folder to create; with --to gguf, the file to write.", Required = true,
        };
        var to = new Option<string>("--to")
        {
            Description =
                "Target format: safetensors (a Hugging Face folder), gguf (llama.cpp, Ollama, LM Studio), or onnx " +
                "(ONNX Runtime, ML.NET; encoders).",
            DefaultValueFactory = _ => Folder,
        };
        var type = new Option<string>("--type")
        {
            Description = $"With --to gguf: {string.Join(", ", GgufModel.Types)}.",
            DefaultValueFactory = _ => "bf16",
        };
        var check = new Option<string?>("--check")
        {
            Description =
                "A text whose logits are computed with the adapters and with the merged folder; prints how much they " +
                "differ.",
        };
        var command = new Command("merge",
            "Merge adapters into their base. Writes a Hugging Face folder in the base's dtype that any program can " +
            "load and that runs at the base's speed. Several adapters, each with its weight, are added one after " +
            "another, in float32.")
            { output, to, type, check };
        var dtype = new Option<string?>("--dtype")
        {
            Description =
                "float32 or bfloat16: dtype for weights that are quantised in the base. Default: the dtype of the " +
                "other weights.",
        };
        command.Add(dtype);
        ModelOptions model = new ModelOptions().AddTo(command, adapterRequired: true);
        return command.Does(parsed =>
        {
            string target = parsed.GetRequiredValue(output);
            ScalarType? written = parsed.GetValue(dtype) switch
            {
                null => null,
                "float32" => ScalarType.Float32,
                _ => ScalarType.BFloat16,
            };
            // The check computes with the model, and a graph is made of its layers.
            using OpenedModel opened = model.Open(parsed, attach: false,
                forMerging: parsed.GetValue(check) is null && parsed.GetValue(to) != Onnx);
            parsed.Require(opened);
            ModelInput? text = parsed.GetValue(check) is { } given ? Tokens(opened, given) : null;
            IReadOnlyList<AdapterArgument> adapters = model.Adapters(parsed);
            (Adapter Adapter, double Weight)[] weighted = [.. adapters.Select(
                argument => (opened.Adapters[argument.Folder], argument.Weight))];
            MergeReport report;
            if (parsed.GetValue(to) == Gguf)
            {
                (report, IReadOnlyList<string> notes) =
                    AdapterMerge.WriteGguf(opened.Model, weighted, target, parsed.GetRequiredValue(type));
                foreach (string note in notes) Console.Error.WriteLine("note: " + note);
            }
            else report = parsed.GetValue(to) == Onnx ? AdapterMerge.WriteOnnx(opened.Model, weighted, target)
                : AdapterMerge.Write(opened.Model, weighted, target, written);
            int layers = adapters
                .SelectMany(argument => opened.Adapters[argument.Folder].Parts.OfType<AdaptedLayer>())
                .Select(adapted => adapted.Base.Path).Distinct().Count();
            Console.WriteLine(
                $"Merged {(adapters.Count == 1 ? "" : $"{adapters.Count} adapters into ")}{layers} layers: {target}");
            ShowCost(report);
            if (text is not null) Compare(opened, adapters, target, text);
        },
        [
            OptionUse.Always(output, to), OptionUse.NewFolder(output),
            OptionUse.Values(to, value => value is Folder or Gguf or Onnx, $"{Folder}, {Gguf} or {Onnx}"),
            OptionUse.Values(
                type, value => GgufModel.Types.Contains(value!), $"one of {string.Join(", ", GgufModel.Types)}"),
            OptionUse.Unless(type, parsed => parsed.GetValue(to) == Gguf ? null
                : "has no effect: it is for --to gguf; remove it"),
            OptionUse.Unless(check, parsed => parsed.GetValue(to) == Folder ? null
                : $"works with a merged folder; remove it, or --to {parsed.GetValue(to)}"),
            OptionUse.Unless(dtype, parsed => parsed.GetValue(to) switch
            {
                Gguf => "has no effect with --to gguf, whose --type says how weights are written; remove it",
                Onnx => "has no effect with --to onnx, whose weights are float32; remove it",
                _ => null,
            }),
            OptionUse.Values(dtype, value => value is null or "float32" or "bfloat16", "float32 or bfloat16"),
            OptionUse.UnlessOpened<OpenedModel>(dtype, opened => opened.Model.IsQuantized ? null
                : "has no effect: the base is not quantised, and each weight keeps its own dtype; remove it"),
            .. model.UsesOfWeights,
        ]);
    }

    private static void ShowCost(MergeReport report)
    {
        if (report.Format is null) return;
        Console.WriteLine(
            $"The base is stored in {report.Format}. It was expanded, the changes were added in float32, and the " +
            $"result was written as {report.WrittenAs}. Rounding to {report.WrittenAs} changes a weight by at most " +
            $"{report.Rounding.Largest:g3} (root mean square {report.Rounding.RootMeanSquare:g3}).");
        if (report.Quantization.Count > 0)
            Console.WriteLine(
                $"{report.Format} itself differs from the folder's weights by at most " +
                $"{report.Quantization.Largest:g3} (root mean square {report.Quantization.RootMeanSquare:g3}). The " +
                "adapter was added to the quantised weights, on which it was used.");
    }

    private static ModelInput Tokens(OpenedModel opened, string text)
    {
        if (opened.Model.Network is not ISequenceNetwork)
            throw new InputException(
                "--check works with decoders and encoders; remove it for an encoder-decoder model.");
        int[] ids = [.. opened.RequireTokenizer().Encode(text)];
        if (ids.Length == 0) throw new InputException("--check: the text has no tokens. Use a longer text.");
        return new ModelInput(tensor(ids.Select(id => (long)id).ToArray()).view(1, -1));
    }

    private static void Compare(
        OpenedModel opened, IReadOnlyList<AdapterArgument> adapters, string target, ModelInput text)
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        opened.Adapters.Activate([.. adapters.Select(argument => (argument.Folder, argument.Weight))]);
        Tensor before = opened.Model.Sequence.Scores(new ModelInput(text.Tokens.to(opened.Model.Network.Device))).cpu();
        using PretrainedModel merged =
            PretrainedModel.Open(
                target, CPU, head: new HeadRequest(opened.Model.Network.HeadKind, (int)before.shape[^1]));
        Tensor after = merged.Sequence.Scores(text);
        long same = before.argmax(-1).eq(after.argmax(-1)).sum().item<long>();
        Console.WriteLine(
            $"Checked {text.Tokens.shape[1]} tokens: the logits of the merged folder differ by at most " +
            $"{(before - after).abs().max().item<float>():g3} (the largest logit is " +
            $"{before.abs().max().item<float>():g3}); the most likely token is the same for {same} of " +
            $"{before.numel() / before.shape[^1]}.");
    }
}
