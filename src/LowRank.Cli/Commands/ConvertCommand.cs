using System.CommandLine;
using LowRank.Adapters;
using LowRank.Adapters.Files;
using LowRank.Adapters.Operations;
using LowRank.Cli.Common;
using LowRank.Models;
using LowRank.Models.Gguf;
using static TorchSharp.torch;

namespace LowRank.Cli.Commands;

/// <summary><c>lowrank convert</c>.</summary>
internal sealed class ConvertCommand : ICliCommand
{
    private const string Gguf = "gguf", Peft = "peft", Mlx = "mlx", Onnx = "onnx_adapter", OnnxModel = "onnx";

    private readonly Argument<string> path = new("source")
    {
        Description =
            "Folder of an adapter in the format of PEFT or mlx-lm, a GGUF file with an adapter, or a model's folder.",
    };
    private readonly Option<string> to = new("--to")
    {
        Description = "Target format: gguf, mlx, onnx (an encoder), onnx_adapter or peft.", Required = true,
    };
    private readonly Option<string?> model = new("--model")
    {
        Description =
            "Folder of an adapter's base model. Default, for gguf and onnx_adapter: the folder that the adapter names.",
    };
    private readonly Option<string?> type = new("--type")
    {
        Description =
            "For gguf and onnx_adapter: f32, f16 or bf16; for a model also q8_0, q4_0, q4_k_m or q6_k. Default: f32 " +
            "for an adapter, bf16 for a model.",
    };
    private readonly Option<bool> asLora = new("--as-lora")
    {
        Description =
            "For gguf and onnx_adapter: express an adapter of another kind (DoRA, VeRA, LoHa, …) as low-rank pairs, " +
            "exactly, or the closest of --rank.",
    };
    private readonly Option<int?> rank = new("--rank")
    {
        Description = "The largest rank of a pair with --as-lora. Default: as large as each change needs.",
    };
    private readonly Option<string> output = new("--output")
    {
        Description = "The folder to create; for gguf and onnx_adapter, the file to write.", Required = true,
    };

    public string Example => "lowrank convert runs/quickstart/adapter --to gguf --output adapter.gguf";

    public Command Build() =>
        new Command("convert",
            "Convert an adapter from PEFT's format to mlx-lm's or to GGUF (llama.cpp, Ollama, LM Studio), or back, " +
            "or to ONNX Runtime's, or a model to GGUF, or an encoder to ONNX.")
            { path, to, model, type, asLora, rank, output }
            .Does(parsed =>
            {
                using var scope = NewDisposeScope();
                string source = parsed.GetRequiredValue(path), target = parsed.GetRequiredValue(output);
                switch (parsed.GetRequiredValue(to))
                {
                    case Onnx:
                    case Gguf when IsAdapter(source): WriteAdapter(parsed, source, target); break;
                    case Gguf: Show(GgufModel.Write(source, target, parsed.GetValue(type) ?? "bf16")); break;
                    case OnnxModel: WriteEncoder(source, target); break;
                    case Mlx:
                        Warn(source);
                        MlxFolder.FromPeft(source, parsed.GetValue(model)!, target);
                        break;
                    default:
                        Show(File.Exists(source) ? GgufAdapter.ToPeft(source, parsed.GetValue(model)!, target)
                            : MlxFolder.ToPeft(source, parsed.GetValue(model)!, target));
                        break;
                }
                Console.WriteLine($"Wrote {target}");
            }, Uses());

    private OptionUse[] Uses() =>
    [
        OptionUse.Always(to, output), OptionUse.NewFolder(output),
        OptionUse.Values(
            to, value => value is Gguf or Mlx or OnnxModel or Onnx or Peft,
            $"{Gguf}, {Mlx}, {OnnxModel}, {Onnx} or {Peft}"),
        OptionUse.AtLeast(rank, 1), OptionUse.With(asLora, rank),
        OptionUse.Unless(type, parsed => HasTypes(parsed) ? null
            : $"has no effect: it is for --to {Gguf} and {Onnx}; remove it"),
        OptionUse.Unless(asLora, parsed => HasTypes(parsed) && IsAdapter(parsed.GetValue(path)) ? null
            : $"has no effect: it is for an adapter and --to {Gguf} or {Onnx}; remove it"),
        OptionUse.Unless(model, parsed => Is(parsed, Onnx) && !parsed.GetValue(asLora)
            ? $"has no effect with --to {Onnx} but beside --as-lora; remove it"
            : IsAdapter(parsed.GetValue(path)) || !(Is(parsed, Gguf) || Is(parsed, OnnxModel)) ? null
            : "has no effect: the source is a model; remove it"),
        OptionUse.Rule(parsed => !HasTypes(parsed) && !Is(parsed, OnnxModel) && parsed.GetValue(model) is null
            ? ["--model is missing: the base's folder is needed"] : []),
        OptionUse.Rule(parsed => Is(parsed, Onnx) && Directory.Exists(parsed.GetValue(path))
            && !IsAdapter(parsed.GetValue(path))
            ? [$"{parsed.GetValue(path)} is no adapter's folder; models become ONNX files with --to {OnnxModel}"]
            : []),
        OptionUse.Rule(parsed => Is(parsed, OnnxModel) && IsAdapter(parsed.GetValue(path))
            ? [$"{parsed.GetValue(path)} is an adapter; expected a model's folder. 'lowrank merge --to onnx' writes " +
                $"its base with it, --to {Onnx} the adapter alone"]
            : []),
        OptionUse.Rule(Types),
        OptionUse.There("an adapter or a model", parsed => [parsed.GetValue(path)]),
        OptionUse.There("a model's folder", parsed => [parsed.GetValue(model)]),
    ];

    private IEnumerable<string> Types(ParseResult parsed)
    {
        if (!HasTypes(parsed) || parsed.GetValue(type) is not { } given) return [];
        IReadOnlyList<string> known = Is(parsed, Onnx) ? OnnxAdapter.Types
            : IsAdapter(parsed.GetValue(path)) ? GgufAdapter.Types : GgufModel.Types;
        return known.Contains(given) ? [] : [$"--type is {given}, expected one of {string.Join(", ", known)}"];
    }

    private bool Is(ParseResult parsed, string format) => parsed.GetValue(to) == format;

    private bool HasTypes(ParseResult parsed) => Is(parsed, Gguf) || Is(parsed, Onnx);

    private void WriteAdapter(ParseResult parsed, string source, string target)
    {
        Warn(source);
        IReadOnlyList<KeptEnergy> kept = [];
        LoraFolder pairs;
        if (parsed.GetValue(asLora))
            (pairs, kept) = AdapterAsPairs.Make(source, Base(parsed, source), parsed.GetValue(rank));
        else pairs = Plain(source, Is(parsed, Gguf) ? Gguf : "onnx");
        string type = parsed.GetValue(this.type) ?? "f32";
        if (Is(parsed, Onnx)) OnnxAdapter.FromPeft(pairs, source, target, type);
        else GgufAdapter.FromPeft(pairs, source, Base(parsed, source), target, type);
        if (kept.Count > 0) Views.EnergyView.Show(kept, target, [], json: false);
    }

    private static void WriteEncoder(string source, string target)
    {
        using PretrainedModel model = PretrainedModel.Open(source);
        Show(model.Notes);
        AdapterMerge.WriteOnnx(model, [], target);
    }

    private string Base(ParseResult parsed, string source)
    {
        string named = parsed.GetValue(model) ?? AdapterConfig.Load(source).BaseModel ?? "";
        return Directory.Exists(named) ? named : throw new InputException(
            $"{source} names the base \"{named}\", which is no folder here. Name the base's folder with --model.");
    }

    private static LoraFolder Plain(string source, string merged)
    {
        try
        {
            return LoraFolder.Load(source);
        }
        catch (InputException e) when (e.Problems.Count > 0)
        {
            throw new InputException(
                $"{source} has parts that no pair holds. With --as-lora they are expressed as pairs where that is " +
                $"possible; 'lowrank merge --to {merged}' writes the merged model:", e.Problems);
        }
    }

    private static bool IsAdapter(string? source) =>
        source is not null && File.Exists(Path.Combine(source, AdapterConfig.FileName));

    private static void Warn(string source)
    {
        foreach (string warning in AdapterConfig.Load(source).Warnings) Console.Error.WriteLine("warning: " + warning);
    }

    private static void Show(IReadOnlyList<string> notes)
    {
        foreach (string note in notes) Console.Error.WriteLine("note: " + note);
    }
}
