using System.CommandLine;
using LowRank.Adapters;
using LowRank.Cli.Common;
using LowRank.Cli.Views;
using LowRank.Hub;
using LowRank.IO;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Quantization;
using LowRank.Tasks;

namespace LowRank.Cli.Commands;

/// <summary>The options --model, --adapter, --device, --base-dtype, --base-head and --compute-dtype, and the model they
/// open.</summary>
internal sealed class ModelOptions
{
    private readonly Option<string> model = new("--model")
    {
        Description =
            "Folder of the base model (config.json, safetensors weights, tokenizer files), a GGUF file, or the " +
            "model's name on the Hugging Face Hub: org/name[@revision]. embedded is the small model that comes with " +
            "this program.",
        Required = true,
    };
    private readonly Option<string[]> adapter = new("--adapter")
    {
        Description =
            "Folder (or name on the Hub) of a PEFT adapter of any kind to use with the model. Append :WEIGHT to " +
            "apply only a share of its change. May be repeated.",
    };
    private readonly Option<string> device = new("--device")
    {
        Description = "cpu, cuda, cuda:N or mps.",
        DefaultValueFactory = _ => "cpu",
    };

    private readonly Option<string> baseDtype = new("--base-dtype")
    {
        Description =
            $"How to store the weights of the base's linear layers: {string.Join(", ", WeightFormats.Names)}. auto: " +
            "as the adapter needs (LoftQ), else as in the folder.",
        DefaultValueFactory = _ => WeightFormats.Auto,
    };
    private readonly Option<string> baseHead = new("--base-head")
    {
        Description =
            "How to store the base's output head: float32, or base, as its linear layers are (--base-dtype).",
        DefaultValueFactory = _ => WeightFormats.Float32,
    };
    private readonly Option<string> computeDtype = new("--compute-dtype")
    {
        Description =
            "In which type the products with the base's frozen weights take their inputs: " +
            $"{string.Join(", ", Devices.ComputeTypes)}. auto: bfloat16 where the device has units for it.",
        DefaultValueFactory = _ => WeightFormats.Float32,
    };
    private string? folder;
    private IReadOnlyList<AdapterArgument>? adapters;

    /// <summary>Adds the options to a command.</summary>
    public ModelOptions AddTo(Command command, bool adapterRequired = false)
    {
        adapter.Required = adapterRequired;
        if (!adapterRequired) adapter.DefaultValueFactory = _ => [];
        command.Add(model);
        command.Add(adapter);
        return AddFormTo(command);
    }

    /// <summary>Adds the options to a command that has its own for adapters.</summary>
    public ModelOptions AddBaseTo(Command command)
    {
        command.Add(model);
        return AddFormTo(command);
    }

    private ModelOptions AddFormTo(Command command)
    {
        command.Add(device);
        command.Add(baseDtype);
        command.Add(baseHead);
        command.Add(computeDtype);
        return this;
    }

    /// <summary>When the options take effect, and what is wrong with them before anything is opened.</summary>
    public IReadOnlyList<OptionUse> Uses => [.. UsesWithoutProducts, OptionUse.Always(computeDtype)];

    /// <summary>As <see cref="Uses"/>, for commands that compute nothing with the model.</summary>
    public IReadOnlyList<OptionUse> UsesOfWeights =>
    [
        .. UsesWithoutProducts, OptionUse.Unless(computeDtype, parsed =>
            parsed.GetValue(computeDtype) is WeightFormats.Float32 ? null
                : "has no effect: the changes are added to the weights in float32; remove it"),
    ];

    /// <summary>As <see cref="UsesOfWeights"/>, for commands that open the model only in some cases.</summary>
    /// <param name="opens">Whether it will be opened.</param>
    public IReadOnlyList<OptionUse> UsesOfWeightsIf(Func<ParseResult, bool> opens) =>
    [
        .. UsesOfWeights, .. new Option[] { device, baseDtype, baseHead }.Select(option => OptionUse.Unless(
            option, parsed => opens(parsed) ? null : "has no effect: nothing is merged; remove it")),
    ];

    /// <summary>How many adapters are given, and whether one has a weight.</summary>
    public (int Count, bool IsWeighted) AdaptersGiven(ParseResult parsed)
    {
        string[] given = parsed.GetValue(adapter) ?? [];
        return (given.Length, given.Any(one => Try(() => AdapterArgument.Parse(one)) is null
            && AdapterArgument.Parse(one).Weight != 1));
    }

    private IReadOnlyList<OptionUse> UsesWithoutProducts =>
        [OptionUse.Always(model, adapter, device, baseDtype), .. UsesOfForm];

    private IReadOnlyList<OptionUse> UsesOfForm =>
    [
        OptionUse.Rule(Problems),
        OptionUse.Values(baseHead, WeightFormats.HeadNames.Contains, string.Join(" or ", WeightFormats.HeadNames)),
        OptionUse.Unless(baseHead, parsed => parsed.GetValue(baseHead) == WeightFormats.Base
            && parsed.GetValue(baseDtype) == WeightFormats.Float32
            ? $"has no effect with --base-dtype {WeightFormats.Float32}; remove it" : null),
    ];

    /// <summary>As <see cref="Uses"/>, for commands that have their own option for adapters.</summary>
    public IReadOnlyList<OptionUse> UsesOfBase =>
        [OptionUse.Always(model, device, baseDtype, computeDtype), .. UsesOfForm];

    /// <summary>For commands that take a single adapter without a weight.</summary>
    public OptionUse OneAdapter => OptionUse.Rule(parsed =>
        parsed.GetValue(adapter) is { Length: > 1 } several ? [TooMany(several)] : []);

    private static string TooMany(IEnumerable<string> given) =>
        $"--adapter: this command takes one adapter without a weight; found {string.Join(", ", given)}. Combine them " +
        "first with 'lowrank combine', or merge them";

    private IEnumerable<string> Problems(ParseResult parsed)
    {
        if (parsed.GetValue(model) is { } base_ && !Directory.Exists(EmbeddedFiles.Resolve(base_))
            && !ModelSource.IsFile(base_) && HubRepository.TryParse(base_) is null)
            yield return $"--model is {base_}, but there is no such folder; expected a model's folder, a GGUF file, " +
                "or its name on the Hugging Face Hub such as org/name";
        foreach (string given in parsed.GetValue(adapter) ?? [])
            if (Problem(given) is { } problem) yield return problem;
        if (Try(() => Devices.Parse(parsed.GetValue(device)!)) is { } unknown) yield return $"--device: {unknown}";
        if (!WeightFormats.Names.Contains(parsed.GetValue(baseDtype)!))
            yield return $"--base-dtype is {parsed.GetValue(baseDtype)}, expected one of " +
                $"{string.Join(", ", WeightFormats.Names)}";
        if (Try(() => CommandWording.Of(parsed.CommandResult.Command).Do(() =>
            Devices.ComputeType(parsed.GetValue(computeDtype)!, OnDevice(parsed)))) is { } refused)
            yield return refused;
    }

    // A device that there is not has its own problem.
    private TorchSharp.torch.Device OnDevice(ParseResult parsed) =>
        Try(() => Devices.Parse(parsed.GetValue(device)!)) is null ? Devices.Parse(parsed.GetValue(device)!)
            : TorchSharp.torch.CPU;

    private static string? Problem(string given)
    {
        if (Try(() => AdapterArgument.Parse(given)) is { } problem) return problem;
        string named = AdapterArgument.Parse(given).Folder;
        return Directory.Exists(named) || HubRepository.TryParse(named) is not null ? null
            : $"--adapter is {named}, but there is no such folder; expected an adapter's folder, or its name on " +
            "the Hugging Face Hub such as org/name";
    }

    private static string? Try(Action read)
    {
        try
        {
            read();
            return null;
        }
        catch (InputException e)
        {
            return e.Message.TrimEnd('.');
        }
    }

    /// <summary>The model as it was given.</summary>
    public string Given(ParseResult parsed) => parsed.GetRequiredValue(model);

    /// <summary>How the model is opened.</summary>
    public LanguageModelOptions Opening(ParseResult parsed) => new()
    {
        Device = parsed.GetRequiredValue(device),
        BaseDtype = parsed.GetRequiredValue(baseDtype),
        BaseHead = parsed.GetRequiredValue(baseHead),
        ComputeDtype = parsed.GetRequiredValue(computeDtype),
    };

    /// <summary>The folder given as --model, downloaded if it is a name on the Hub.</summary>
    public string Folder(ParseResult parsed) =>
        folder ??= ModelSource.Open(parsed.GetRequiredValue(model), progress: new DownloadProgress());

    /// <summary>The folder in which training saved how it read its rows: the adapter's, else the model's, which may be
    /// merged.</summary>
    public string DataFolder(ParseResult parsed) => Adapters(parsed) is [var only, ..] ? only.Folder : Folder(parsed);

    /// <summary>The adapters given, in their order.</summary>
    public IReadOnlyList<AdapterArgument> Adapters(ParseResult parsed) =>
        adapters ??= [.. parsed.GetRequiredValue(adapter).Select(AdapterArgument.Parse).Select(given => given with
        {
            Folder = HubFolder.Open(given.Folder, HubSelection.Adapter, progress: new DownloadProgress()),
        })];

    /// <summary>The folders that are read.</summary>
    public IEnumerable<string> Inputs(ParseResult parsed) =>
        [Folder(parsed), .. Adapters(parsed).Select(argument => argument.Folder)];

    /// <summary>Opens the model for its adapter's task, or its own.</summary>
    public TaskModel OpenForTask(ParseResult parsed, string? task, Func<TaskSettings, TaskSettings> settings)
    {
        IReadOnlyList<AdapterArgument> given = Adapters(parsed);
        if (given.Count > 1 || given.Any(one => one.Weight != 1))
            throw new InputException($"{TooMany(parsed.GetRequiredValue(adapter))}.");
        TaskModel opened = TaskModel.Open(Folder(parsed), given is [var only, ..] ? only.Folder : null, task, settings,
            Devices.Parse(parsed.GetRequiredValue(device)), BaseDtype(parsed, given),
            parsed.GetRequiredValue(computeDtype), parsed.GetRequiredValue(baseHead));
        RequireEffect(parsed, opened.Model, opened);
        foreach (string warning in opened.Adapter?.Warnings ?? []) Console.Error.WriteLine("warning: " + warning);
        foreach (string note in opened.Model.Notes.Concat(opened.Tokenizer?.Notes ?? []).Concat(
            opened.Notes.Select(note => note.In(CommandWording.Of(parsed.CommandResult.Command)))))
            Console.Error.WriteLine("note: " + note);
        return opened;
    }

    /// <summary>Opens the model, with its adapters; the caller disposes of all.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="attach">Whether to attach the adapters at once.</param>
    /// <param name="forMerging">Whether nothing will be computed with the model
    /// (<see cref="PretrainedModel.OpenForMerging"/>).</param>
    public OpenedModel Open(ParseResult parsed, bool attach = true, bool forMerging = false)
    {
        IReadOnlyList<AdapterArgument> given = Adapters(parsed);
        if (given.GroupBy(argument => Path.GetFullPath(argument.Folder))
            .FirstOrDefault(group => group.Count() > 1) is { } twice)
            throw new InputException(
                $"--adapter: {twice.First().Folder} is given twice; give it once, with the sum of the weights.");
        HeadRequest? head = given.Count > 0 ? AdapterTask.LoadHead(given[0].Folder) : null;
        int vocabulary = given.Select(argument => AdapterVocabulary.RowsFor(argument.Folder)).DefaultIfEmpty().Max();
        string dtype = BaseDtype(parsed, given), headDtype = parsed.GetRequiredValue(baseHead);
        var place = Devices.Parse(parsed.GetRequiredValue(device));
        PretrainedModel opened = forMerging && place.type == TorchSharp.DeviceType.CPU
            ? PretrainedModel.OpenForMerging(Folder(parsed), head, vocabulary, dtype, headDtype)
            : PretrainedModel.Open(
                Folder(parsed), place, head: head, vocabulary: vocabulary, baseDtype: dtype,
                computeDtype: parsed.GetRequiredValue(computeDtype), baseHead: headDtype);
        RequireEffect(parsed, opened, opened);
        var set = new AdapterSet(opened);
        try
        {
            foreach (AdapterArgument argument in given)
                foreach (string warning in set.Load(argument.Folder, argument.Folder).Warnings)
                    Console.Error.WriteLine("warning: " + warning);
            foreach (string note in opened.Notes) Console.Error.WriteLine("note: " + note);
            if (attach) set.Activate([.. given.Select(argument => (argument.Folder, argument.Weight))]);
            return new OpenedModel(opened, set);
        }
        catch
        {
            set.Dispose();
            opened.Dispose();
            throw;
        }
    }

    // Whether the base is packed may only be known once it is open.
    private void RequireEffect(ParseResult parsed, PretrainedModel opened, IDisposable owner)
    {
        if (parsed.GetRequiredValue(baseHead) == WeightFormats.Float32
            || opened.Network.OutputHead is { Packed: not null }) return;
        owner.Dispose();
        throw new InputException(
            $"--base-head {WeightFormats.Base} has no effect: " +
            (opened.Network.OutputHead is null ? "the model was opened without a head that scores the vocabulary."
                : "the base is kept in float32. Remove it, or give --base-dtype."));
    }

    private string BaseDtype(ParseResult parsed, IReadOnlyList<AdapterArgument> given)
    {
        string asked = parsed.GetRequiredValue(baseDtype),
            taken = AdapterBase.DtypeFor(given.Select(argument => argument.Folder), asked);
        if (taken != asked)
            Console.Error.WriteLine(
                $"note: the base is stored in {taken}, because the adapter was initialized for {taken} (LoftQ)");
        return taken;
    }
}
