using LowRank.Adapters;
using LowRank.Data.Chat;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Tokenizers;
using Microsoft.Extensions.Logging;
using static TorchSharp.torch;

namespace LowRank;

/// <summary>A base with one of its adapters, or none, ready for a task. Belongs to the model's thread.</summary>
/// <param name="Base">The base with all its adapters.</param>
/// <param name="Adapter">The adapter; null for the base alone.</param>
/// <param name="Tokenizer">The base's, or the adapter's own; null where there is none.</param>
/// <param name="Opening">The task and its settings.</param>
internal sealed record OpenedModel(AdapterSet Base, Adapter? Adapter, Tokenizer? Tokenizer, TaskOpening Opening)
{
    public PretrainedModel Model => Base.Model;

    /// <summary>The task, with settings that a call changes.</summary>
    public ITask Start(Func<TaskSettings, TaskSettings>? settings = null) =>
        Opening.Kind.Start(Model, Tokenizer, settings is null ? Opening.Settings : settings(Opening.Settings));

    /// <exception cref="InputException">There is none.</exception>
    public Tokenizer RequireTokenizer() => Tokenizer ?? throw new InputException(
        $"{Model.Folder} has no tokenizer, which texts need. Copy the model's tokenizer files into the folder.");

    /// <summary>The model as one that continues texts.</summary>
    /// <exception cref="InputException">It is none.</exception>
    public Decoder RequireDecoder(string what) => Model.Network is Decoder decoder && decoder.OutputHead is not null
        ? decoder : throw new InputException(
            $"{what} needs a decoder that predicts tokens; this is a {Model.Config.ModelType} model for " +
            $"{Opening.Kind.Name}.");

    /// <summary>The tokens that end a text: the generation config's, else the tokenizer's.</summary>
    public IReadOnlyList<int> StopTokens =>
        [.. Model.Generation.EosTokenIds.Concat(Tokenizer?.EosTokenId is { } end ? [end] : []).Distinct()];
}

/// <summary>The base of a <see cref="LanguageModel"/>, opened once for each head that its adapters need, and what is
/// in use. Belongs to the model's thread.</summary>
/// <param name="folder">The base's folder.</param>
/// <param name="options">How it is opened.</param>
internal sealed class OpenedBases(string folder, LanguageModelOptions options) : IDisposable
{
    private readonly Dictionary<(HeadRequest Head, int Vocabulary, string BaseDtype), AdapterSet> bases = [];
    private readonly Dictionary<(LoadedAdapter? Adapter, string? Task), OpenedModel> opened = [];
    private PrefixCache? conversation;
    private OpenedModel? talking; // what the conversation's keys and values were made with
    private Device? device;

    /// <summary>The base's folder.</summary>
    public string Folder => folder;

    /// <summary>Where it computes.</summary>
    public Device Device => device ??= Kernels.Devices.Parse(options.Device);

    /// <summary>Makes the base compute with an adapter, or alone.</summary>
    /// <param name="adapter">The adapter; null for the base alone.</param>
    /// <param name="task">The task of a base that is used alone; null for its own.</param>
    public OpenedModel Use(LoadedAdapter? adapter, string? task = null)
    {
        if (!opened.TryGetValue((adapter, task), out OpenedModel? found))
        {
            TaskOpening opening = adapter?.Opening ?? TaskOpening.Of(folder, null, task, options.BaseDtype);
            AdapterSet set = Base(opening);
            Tokenizer? tokenizer = AdapterChatTemplates.LoadTokenizer(
                folder, adapter?.Engine.Vocabulary, adapter?.Engine.ChatTemplates, set.Model.Generation.EndOfText);
            Note(tokenizer?.Notes ?? []);
            found = new OpenedModel(set, adapter?.Engine, tokenizer, opening);
            opened.Add((adapter, task), found);
        }
        string[] names = adapter is null ? [] : [adapter.Id];
        if (!found.Base.Active.Select(active => active.Name).SequenceEqual(names)) found.Base.Activate(names);
        return found;
    }

    /// <summary>As <see cref="Use"/>, for answers: the base alone has to have weights for its head.</summary>
    public OpenedModel UseWhole(LoadedAdapter? adapter, string? task = null)
    {
        OpenedModel found = Use(adapter, task);
        if (adapter is null) found.Opening.RequireHead(found.Model);
        return found;
    }

    /// <summary>Reads an adapter's folder.</summary>
    public LoadedAdapter Load(LanguageModel model, string id, string adapterFolder)
    {
        TaskOpening opening = TaskOpening.Of(folder, adapterFolder, null, options.BaseDtype);
        Adapter adapter = Base(opening).Load(id, adapterFolder);
        foreach (string warning in adapter.Warnings) options.Logger.ModelWarning(warning);
        return new LoadedAdapter(model, id, opening, adapter);
    }

    /// <summary>The base with a task's head, where it is open as the options say, without adapters; null
    /// elsewhere.</summary>
    public PretrainedModel? Lend(string task)
    {
        HeadKind head = TaskRegistry.Get(task).Head;
        AdapterSet? set = bases.FirstOrDefault(opened => opened.Key.Head.Kind == head && opened.Key.Vocabulary == 0
            && opened.Key.BaseDtype == options.BaseDtype).Value;
        set?.Activate();
        return set?.Model;
    }

    /// <summary>Drops an adapter.</summary>
    public void Remove(LoadedAdapter adapter)
    {
        if (ReferenceEquals(talking?.Adapter, adapter.Engine)) Forget();
        foreach ((LoadedAdapter?, string?) key in opened.Keys.Where(key => key.Adapter == adapter).ToList())
            opened.Remove(key);
        Base(adapter.Opening).Remove(adapter.Id);
    }

    /// <summary>The keys and values of the last conversation, where the model computes as it did then.</summary>
    public PrefixCache Conversation(OpenedModel model)
    {
        if (!ReferenceEquals(talking, model)) Forget();
        talking = model;
        return conversation ??= new PrefixCache();
    }

    /// <summary>Drops what was kept of a conversation that ended in an error.</summary>
    public void Forget()
    {
        conversation?.Dispose();
        (conversation, talking) = (null, null);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Forget();
        foreach (AdapterSet set in bases.Values)
        {
            set.Dispose();
            set.Model.Dispose();
        }
        bases.Clear();
        opened.Clear();
    }

    private AdapterSet Base(TaskOpening opening)
    {
        var key = (opening.Head, opening.Vocabulary, opening.BaseDtype);
        if (bases.TryGetValue(key, out AdapterSet? set)) return set;
        set = new AdapterSet(opening.OpenBase(folder, Device));
        bases.Add(key, set);
        Note(set.Model.Notes);
        return set;
    }

    private void Note(IReadOnlyList<string> notes)
    {
        foreach (string note in notes) options.Logger.ModelNote(note);
    }
}
