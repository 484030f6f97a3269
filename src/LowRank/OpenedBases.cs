using LowRank.Adapters;
using LowRank.Data.Chat;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Recipes.Steps;
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
    // The tokens as constraints see them; made once, by whichever thread asks first.
    private readonly Lazy<TokenVocabulary> vocabulary = new(() => TokenVocabulary.Of(
        Tokenizer!, Base.Model.Network.VocabularySize, Base.Model.Generation.StopTokens(Tokenizer)));

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

    /// <summary>A constraint for the model's tokens; null for none. May be called on any thread.</summary>
    public TokenConstraint? Compile(TextConstraint? constraint)
    {
        if (constraint is null) return null;
        RequireTokenizer();
        return constraint.Compile(vocabulary.Value);
    }

    /// <summary>The tokens that end a text.</summary>
    public IReadOnlyList<int> StopTokens => Model.Generation.StopTokens(Tokenizer);
}

/// <summary>The base of a <see cref="LanguageModel"/>, opened once for each head that its adapters need, and what is
/// in use. Belongs to the model's thread.</summary>
/// <param name="folder">The base's folder.</param>
/// <param name="options">How it is opened.</param>
internal sealed class OpenedBases(string folder, LanguageModelOptions options) : IDisposable
{
    private readonly Dictionary<(HeadRequest Head, int Vocabulary, BaseForm Form), AdapterSet> bases = [];
    private readonly Dictionary<(LoadedAdapter? Adapter, string? Task), OpenedModel> opened = [];
    private PrefixCache? conversation;
    private OpenedModel? talking; // what the conversation's keys and values were made with
    private Device? device;
    private BaseForm? form;

    /// <summary>The base's folder.</summary>
    public string Folder => folder;

    /// <summary>How often the base is open.</summary>
    public int Count => bases.Count;

    /// <summary>Where it computes.</summary>
    public Device Device => device ??= Kernels.Devices.Parse(options.Device);

    // As recipes say it, so that a run finds the base that it asks for.
    private BaseForm Form => form ??= new BaseForm(
        options.BaseDtype, Kernels.Devices.ComputeType(options.ComputeDtype, Device), options.BaseHead);

    /// <summary>Makes the base compute with an adapter, or alone.</summary>
    /// <param name="adapter">The adapter; null for the base alone.</param>
    /// <param name="task">The task of a base that is used alone; null for its own.</param>
    public OpenedModel Use(LoadedAdapter? adapter, string? task = null)
    {
        if (!opened.TryGetValue((adapter, task), out OpenedModel? found))
        {
            TaskOpening opening = adapter?.Opening ?? TaskOpening.From(folder, null, task, Form);
            AdapterSet set = (adapter is null ? WithStates(opening) : null) ?? Base(opening);
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

    /// <summary>Reads an adapter's folder and makes the base compute with it. Where that fails, nothing has
    /// changed.</summary>
    public LoadedAdapter Load(LanguageModel model, string id, string adapterFolder)
    {
        LoadedAdapter? loaded = null;
        try
        {
            TaskOpening opening = TaskOpening.From(folder, adapterFolder, null, Form);
            loaded = new LoadedAdapter(model, id, opening, Base(opening).Load(id, adapterFolder));
            Use(loaded);
        }
        catch
        {
            if (loaded is null) Release();
            else Remove(loaded);
            throw;
        }
        foreach (string warning in loaded.Engine.Warnings) options.Logger.ModelWarning(warning);
        return loaded;
    }

    /// <summary>The base, for a run that trains an adapter on it: where it is open in just this way, with all weights
    /// of its head. No adapter is active then.</summary>
    /// <inheritdoc cref="BaseLender"/>
    public PretrainedModel? Lend(string baseFolder, HeadKind head, int vocabulary, BaseForm asked)
    {
        // The head of a classifier is trained with the adapter, and so belongs to one run.
        if (head is not (HeadKind.LanguageModel or HeadKind.None)
            || Path.GetFullPath(baseFolder) != Path.GetFullPath(folder)) return null;
        AdapterSet? set = bases.FirstOrDefault(open => open.Key.Head.Kind == head && open.Key.Vocabulary == vocabulary
            && open.Key.Form == asked && open.Value.Model.Network.CreatedWeights.Count == 0).Value;
        set?.Activate();
        return set?.Model;
    }

    /// <summary>Drops an adapter, and the base that was opened for it alone.</summary>
    public void Remove(LoadedAdapter adapter)
    {
        if (ReferenceEquals(talking?.Adapter, adapter.Engine)) Forget();
        foreach ((LoadedAdapter?, string?) key in opened.Keys.Where(key => key.Adapter == adapter).ToList())
            opened.Remove(key);
        Base(adapter.Opening).Remove(adapter.Id);
        Release();
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
        foreach (AdapterSet set in bases.Values) Close(set);
        bases.Clear();
        opened.Clear();
    }

    private AdapterSet Base(TaskOpening opening)
    {
        var key = (opening.Head, opening.Vocabulary, opening.Form);
        if (bases.TryGetValue(key, out AdapterSet? set)) return set;
        set = new AdapterSet(opening.OpenBase(folder, Device));
        bases.Add(key, set);
        Note(set.Model.Notes);
        return set;
    }

    // States come before any head: for them, a base that is open with a head is not opened a second time.
    private AdapterSet? WithStates(TaskOpening opening) => opening.Head.Kind != HeadKind.None ? null
        : bases.FirstOrDefault(open => open.Key.Vocabulary == opening.Vocabulary
            && open.Key.Form == opening.Form
            && open.Value.Model.Network is ISequenceNetwork { CreatedWeights.Count: 0 }).Value;

    // Closes what neither an adapter nor the base alone is used with.
    private void Release()
    {
        foreach ((var key, AdapterSet set) in bases.ToList())
        {
            if (set.Names.Count > 0 || opened.Values.Any(model => model.Base == set)) continue;
            Close(set);
            bases.Remove(key);
        }
    }

    private static void Close(AdapterSet set)
    {
        set.Dispose();
        set.Model.Dispose();
    }

    private void Note(IReadOnlyList<string> notes)
    {
        foreach (string note in notes) options.Logger.ModelNote(note);
    }
}
