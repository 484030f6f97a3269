using LowRank.Adapters;
using LowRank.Data;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Models.Sentences;
using LowRank.Quantization;
using LowRank.Tokenizers;
using static TorchSharp.torch;

namespace LowRank.Tasks;

/// <summary>A model with its adapter, opened for its task, ready to evaluate and predict.</summary>
public sealed class TaskModel : IDisposable
{
    private TaskModel(PretrainedModel model, Adapter? adapter, Tokenizer? tokenizer, ITaskKind kind, ITask task) =>
        (Model, Adapter, Tokenizer, Kind, Task) = (model, adapter, tokenizer, kind, task);

    /// <summary>The base.</summary>
    public PretrainedModel Model { get; }

    /// <summary>The adapter, attached; null for none.</summary>
    public Adapter? Adapter { get; }

    /// <summary>The model's tokenizer; null if the folder has none.</summary>
    public Tokenizer? Tokenizer { get; }

    /// <summary>How the training rows were read; null if there is nothing to record.</summary>
    public AdapterData? Data { get; private init; }

    /// <summary>The kind of task.</summary>
    public ITaskKind Kind { get; }

    /// <summary>The task on the model.</summary>
    public ITask Task { get; }

    /// <summary>Notes about the settings, one sentence each.</summary>
    public IReadOnlyList<Words> Notes { get; private init; } = [];

    /// <summary>Opens a model for the task of its adapter, otherwise for the one that its config names.</summary>
    /// <param name="model">The base's folder, or a merged model's.</param>
    /// <param name="adapter">A PEFT folder; null for the model alone.</param>
    /// <param name="task">The task's name; null for the adapter's, else the model's own.</param>
    /// <param name="settings">Changes the settings from adapter and config; null leaves them unchanged.</param>
    /// <param name="device">The device; the processor by default.</param>
    /// <param name="baseDtype">The storage format of the base's linear weights, one of <see
    /// cref="WeightFormats.Names"/>; <see cref="WeightFormats.Auto"/> for the format that the adapter needs.</param>
    /// <param name="computeDtype">The type of the inputs of products with them, one of
    /// <see cref="Kernels.Devices.ComputeTypes"/>.</param>
    /// <param name="baseHead">The storage of the output head, one of <see cref="WeightFormats.HeadNames"/>.</param>
    /// <exception cref="InputException">Files are missing or do not match, or the task differs from the
    /// adapter's.</exception>
    public static TaskModel Open(
        string model, string? adapter = null, string? task = null, Func<TaskSettings, TaskSettings>? settings = null,
        Device? device = null,
        string baseDtype = WeightFormats.Auto, string computeDtype = Kernels.ComputeTypes.Float32,
        string baseHead = WeightFormats.Float32)
    {
        TaskOpening opening =
            TaskOpening.From(model, adapter, task, new BaseForm(baseDtype, computeDtype, baseHead));
        TaskSettings chosen = settings is null ? opening.Settings : settings(opening.Settings);
        PretrainedModel opened = opening.OpenBase(model, device);
        Adapter? attached = null;
        try
        {
            attached = adapter is null ? null : Adapter.Load(adapter, opened);
            if (attached is null) opening.RequireHead(opened);
            attached?.Attach();
            Tokenizer? tokenizer = AdapterChatTemplates.LoadTokenizer(
                model, attached?.Vocabulary, attached?.ChatTemplates, opened.Generation.EndOfText);
            return new TaskModel(
                opened, attached, tokenizer, opening.Kind, opening.Kind.Start(opened, tokenizer, chosen))
            {
                Data = opening.Data,
                Notes = IsOfUser(chosen, opening.Settings) && chosen.LengthNote(opened.Network) is { } shorter
                    ? [shorter] : [],
            };
        }
        catch
        {
            attached?.Dispose();
            opened.Dispose();
            throw;
        }
    }

    // The length that an adapter was trained with needs no note.
    private static bool IsOfUser(TaskSettings chosen, TaskSettings read) =>
        chosen.IsMaxLengthGiven && (!read.IsMaxLengthGiven || chosen.MaxLength != read.MaxLength);

    /// <inheritdoc/>
    public void Dispose()
    {
        Adapter?.Dispose();
        Model.Dispose();
    }
}

/// <summary>What a base has to be opened with for its adapter's task, or its own.</summary>
/// <param name="Kind">The task.</param>
/// <param name="Settings">The task's settings, as adapter and config give them.</param>
/// <param name="Head">The base's head.</param>
/// <param name="Vocabulary">Rows of its token embedding; 0 leaves them as they are.</param>
/// <param name="Form">How its weights are kept and multiplied.</param>
/// <param name="Data">How the training rows were read; null if there is nothing to record.</param>
internal sealed record TaskOpening(
    ITaskKind Kind, TaskSettings Settings, HeadRequest Head, int Vocabulary, BaseForm Form, AdapterData? Data)
{
    /// <summary>Reads the folders; no weight is opened.</summary>
    /// <inheritdoc cref="TaskModel.Open"/>
    public static TaskOpening From(string model, string? adapter, string? task, BaseForm form)
    {
        ConfigReader config = ConfigReader.Open(Path.Combine(model, "config.json"));
        IModelFamily family = FamilyRegistry.Get(config.ModelType);
        HeadRequest? head = adapter is null ? null : AdapterTask.LoadHead(adapter);
        AdapterTask? described = AdapterTask.Load(adapter ?? model);
        ITaskKind kind =
            Choose(task, described, head ?? HeadRequest.From(config, family), family, adapter, adapter ?? model);
        AdapterData? read = AdapterData.Load(adapter ?? model);
        TaskSettings settings = Read(described, config, head) with { TrainOn = read?.Learned ?? TrainOn.Completion };
        head = new HeadRequest(kind.Head, head?.Labels ?? HeadRequest.From(config, family).Labels)
        {
            Renewal = head?.Renewal ?? HeadRenewal.Never,
        };
        if (settings.Problem == "regression") head = head with { Labels = 1 };
        return new TaskOpening(kind, settings, head, adapter is null ? 0 : AdapterVocabulary.RowsFor(adapter),
            adapter is null ? form : form with { Dtype = AdapterBase.DtypeFor([adapter], form.Dtype) }, read);
    }

    /// <summary>Opens the base.</summary>
    public PretrainedModel OpenBase(string model, Device? device) =>
        PretrainedModel.Open(model, device, head: Head, vocabulary: Vocabulary, baseDtype: Form.Dtype,
            computeDtype: Form.Compute, baseHead: Form.Head);

    /// <summary>Requires that the base has weights for the head: without an adapter nothing else brings them.</summary>
    /// <exception cref="InputException">It has none.</exception>
    public void RequireHead(PretrainedModel opened)
    {
        if (opened.Network.CreatedWeights.Count > 0)
            throw new InputException(
                $"{opened.Folder} has no weights for the head of {Kind.Name} " +
                $"({string.Join(", ", opened.Network.CreatedWeights)}). Use the adapter that was trained for it.");
    }

    private static ITaskKind Choose(
        string? given, AdapterTask? described, HeadRequest head, IModelFamily family, string? adapter, string where)
    {
        string own = described?.Task
            ?? (adapter is null && File.Exists(Path.Combine(where, SentenceFolder.ModulesFile)) ? "embedding" : null)
            ?? TaskRegistry.Names.Select(TaskRegistry.Get)
            .FirstOrDefault(kind => kind.Head == head.Kind && kind.Fits(family) && kind is not RewardKind)?.Name
            ?? throw new InputException(
                $"{where} does not name its task. Use one of {string.Join(", ", TaskRegistry.Names)}.");
        ITaskKind chosen = TaskRegistry.Get(given ?? own);
        // only hidden states, which every base has
        bool needsNoHead = adapter is null && described is null && chosen.Head == HeadKind.None;
        if ((chosen.Head != head.Kind && !needsNoHead) || !chosen.Fits(family))
            throw new InputException($"{where} was made for {own}, not for {chosen.Name}.");
        return chosen;
    }

    private static TaskSettings Read(AdapterTask? described, ConfigReader config, HeadRequest? head)
    {
        string problem = described?.Problem ?? config.TextOr("problem_type", "");
        IReadOnlyList<string>? names = described?.Labels ?? HeadRequest.LabelNames(config.Root);
        // Without names, or with those of another task, labels are numbers.
        if (head is not null && names?.Count != head.Labels)
            names = [.. Enumerable.Range(0, head.Labels).Select(number => $"LABEL_{number}")];
        if (problem.Length == 0)
            problem = (head?.Labels ?? names?.Count) == 1 ? "regression" : "single_label_classification";
        var settings = new TaskSettings
        {
            Labels = names ?? ["LABEL_0", "LABEL_1"],
            Problem = problem,
            Pooling = described?.Sentence is null ? described?.Pooling : null,
            Sentence = described?.Sentence,
        };
        // An adapter without a pipeline of its own was trained at this length, whatever the base's pipeline says.
        if (described?.MaxLength is { } length)
            settings = settings with { MaxLength = length, IsMaxLengthGiven = described.Sentence is null };
        return described?.Stride is { } stride ? settings with { Stride = stride } : settings;
    }
}
