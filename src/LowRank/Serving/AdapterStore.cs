using LowRank.Adapters;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Tokenizers;

namespace LowRank.Serving;

/// <summary>The adapters of an engine: all by name, some of them in memory. Belongs to the model's thread.</summary>
/// <param name="model">The base.</param>
/// <param name="opening">What the base was opened with.</param>
/// <param name="options">How many there may be in memory.</param>
internal sealed class AdapterStore(PretrainedModel model, TaskOpening opening, ServingOptions options) : IDisposable
{
    private const long WorthReturning = 32 << 20; // bytes; to return memory takes the allocator some milliseconds

    private readonly List<AdapterEntry> entries = [];
    private readonly Dictionary<string, MixedAdapters> mixes = []; // by content; those in use
    private IReadOnlyList<(ServedAdapter Adapter, Tokenizer? Tokenizer)>? all; // null where they have changed
    private long uses, freed;

    /// <summary>All of them, in the order they came, with the tokenizers for their prompts: those with a chat template
    /// of their own; null for the base's.</summary>
    public IReadOnlyList<(ServedAdapter Adapter, Tokenizer? Tokenizer)> All => all ??=
        [.. entries.Where(entry => !entry.IsRemoved).Select(entry => (Describe(entry), entry.Tokenizer))];

    /// <summary>Requests' adapters that are in use, each with other content.</summary>
    public int InUse => mixes.Count;

    /// <summary>Adapters in memory.</summary>
    private int Loaded => entries.Count(entry => entry.Adapter is not null);

    /// <summary>Bytes of their weights.</summary>
    private long Bytes => entries.Where(entry => entry.Adapter is not null).Sum(entry => entry.Bytes);

    /// <summary>Reads an adapter into memory under a new name.</summary>
    /// <inheritdoc cref="ServingEngine.AddAdapterAsync"/>
    public ServedAdapter Add(string name, string folder, AdapterContent content, bool replace)
    {
        AdapterEntry? known = Find(name);
        if (known is not null && !replace)
            throw new ServingException(ServingRefusal.AdapterExists,
                $"There is an adapter \"{name}\" already. Remove it first, or give another name.");
        var added = new AdapterEntry(name, folder);
        Load(added, content);
        if (known is not null) Retire(known);
        entries.Add(added);
        all = null;
        MakeRoom(added);
        return Describe(added);
    }

    /// <summary>Removes an adapter; its weights go with the last text that uses it.</summary>
    public void Remove(string name) => Retire(Find(name) ?? throw Unknown(name));

    /// <summary>Takes adapters into use, for a request; those that are not in memory are read.</summary>
    /// <exception cref="ServingException">One is unknown.</exception>
    /// <exception cref="InputException">One takes no factor, or has to be read and its files are no longer those that
    /// were added.</exception>
    public MixedAdapters Use(IReadOnlyList<AdapterChoice> chosen)
    {
        if (chosen.Count == 0) return new MixedAdapters([], null, "");
        AdapterEntry[] used = [.. chosen.Select(choice => Find(choice.Name) ?? throw Unknown(choice.Name))];
        foreach (AdapterEntry entry in used) entry.Users++;
        try
        {
            foreach (AdapterEntry entry in used)
            {
                entry.LastUse = ++uses;
                if (entry.Adapter is not null) continue;
                Load(entry, Unchanged(entry));
                MakeRoom(entry);
            }
            string content = string.Join('+', used.Zip(chosen, (entry, choice) => string.Create(
                System.Globalization.CultureInfo.InvariantCulture, $"{entry.Digest}*{choice.Scale:R}")));
            if (mixes.TryGetValue(content, out MixedAdapters? known)
                && known.Entries.SequenceEqual(used))
            {
                known.Users++;
                return known;
            }
            return mixes[content] = new MixedAdapters(used,
                new AdapterMix([.. used.Zip(chosen, (entry, choice) => (entry.Adapter!, choice.Scale))]), content)
                { Users = 1 };
        }
        catch
        {
            foreach (AdapterEntry entry in used) Release(entry);
            MakeRoom(null);
            throw;
        }
    }

    /// <summary>Ends a request's use of its adapters.</summary>
    public void Release(MixedAdapters adapters)
    {
        // Clients choose factors: what was once asked for is not kept.
        if (--adapters.Users == 0 && ReferenceEquals(mixes.GetValueOrDefault(adapters.Content), adapters))
            mixes.Remove(adapters.Content);
        foreach (AdapterEntry entry in adapters.Entries) Release(entry);
        MakeRoom(null);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (AdapterEntry entry in entries) Unload(entry);
        entries.Clear();
    }

    /// <summary>The highest rank of an adapter's pairs; 0 where its method has none.</summary>
    public static int RankOf(Adapter adapter) => adapter.Config is not LowRankConfig ? 0
        : adapter.Layers.Values.SelectMany(layer => layer.Weights)
            .Where(weight => weight.Key.Contains("lora_A", StringComparison.Ordinal)
                || weight.Key.Contains("lora_embedding_A", StringComparison.Ordinal))
            .Select(weight => (int)weight.Value.shape[0]).DefaultIfEmpty(0).Max();

    private AdapterEntry? Find(string name) => entries.FirstOrDefault(entry => !entry.IsRemoved && entry.Name == name);

    private static ServingException Unknown(string name) =>
        new(ServingRefusal.UnknownAdapter, $"There is no adapter \"{name}\".");

    private static ServedAdapter Describe(AdapterEntry entry) => new(
        entry.Name, entry.Folder, entry.Digest, entry.Rank, entry.Bytes, entry.Adapter is not null);

    // Which content a name means does not depend on what had to leave the memory.
    private static AdapterContent Unchanged(AdapterEntry entry)
    {
        AdapterContent content = AdapterContent.Of(entry.Folder);
        return content.Digest == entry.Digest ? content : throw new InputException(
            $"The adapter \"{entry.Name}\" was added with other files than {entry.Folder} has now, and has left " +
            "the memory. Add the folder again to replace it.");
    }

    private void Load(AdapterEntry entry, AdapterContent content)
    {
        TaskOpening needed = TaskOpening.From(model.Folder, entry.Folder, null, opening.Form);
        List<string> problems = [];
        if (needed.Kind.Name != opening.Kind.Name)
            problems.Add($"it was trained for {needed.Kind.Name}, and this engine writes texts ({opening.Kind.Name})");
        if (needed.Vocabulary > 0 && needed.Vocabulary != model.Network.VocabularySize)
            problems.Add($"it brings a vocabulary of {needed.Vocabulary} tokens, and the base has " +
                $"{model.Network.VocabularySize}: merge it into a base of its own");
        if (problems.Count > 0)
            throw new InputException($"The adapter {entry.Folder} cannot be served:", problems);
        Adapter adapter = Adapter.Load(entry.Folder, model);
        try
        {
            if (AdapterMix.Refusal(adapter) is { } reason)
                problems.Add($"it {reason}. Merge it, and serve the merged model");
            int rank = RankOf(adapter);
            if (rank > options.MaxRank) problems.Add($"its rank is {rank}, and at most {options.MaxRank} is served");
            if (adapter.Base?.Mismatch(entry.Folder, model, null) is { } mismatch) problems.Add(mismatch);
            if (!content.IsCurrent(entry.Folder)) problems.Add("its files were written as they were read: try again");
            if (problems.Count > 0)
                throw new InputException($"The adapter {entry.Folder} cannot be served:", problems);
            entry.Digest = content.Digest;
            entry.Rank = rank;
            entry.Bytes = adapter.Parts.SelectMany(part => part.Weights)
                .Sum(weight => weight.Value.numel() * weight.Value.element_size());
            entry.Tokenizer = adapter.ChatTemplates is null ? null : AdapterChatTemplates.LoadTokenizer(
                model.Folder, null, adapter.ChatTemplates, model.Generation.EndOfText);
            entry.Adapter = adapter;
            entry.LastUse = ++uses;
            all = null;
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    // Adapters that no text uses make room for one that has come, or for those that others were too many beside.
    private void MakeRoom(AdapterEntry? newest)
    {
        while ((Loaded > options.MaxAdapters || Bytes > options.AdapterBytes)
            && entries.Where(entry => entry.Adapter is not null && entry.Users == 0 && entry != newest)
                .MinBy(entry => entry.LastUse) is { } oldest)
            Unload(oldest);
    }

    private void Retire(AdapterEntry entry)
    {
        entry.IsRemoved = true;
        all = null;
        if (entry.Users > 0) return;
        Unload(entry);
        entries.Remove(entry);
    }

    private void Release(AdapterEntry entry)
    {
        if (--entry.Users == 0 && entry.IsRemoved) Retire(entry);
    }

    private void Unload(AdapterEntry entry)
    {
        if (entry.Adapter is null) return;
        entry.Adapter.Dispose();
        entry.Adapter = null;
        all = null;
        freed += entry.Bytes;
        if (freed < WorthReturning && Loaded > 0) return;
        ProcessMemory.ReturnFreed();
        freed = 0;
    }
}

/// <summary>An adapter of the engine.</summary>
/// <param name="name">The name that requests give.</param>
/// <param name="folder">Its folder.</param>
internal sealed class AdapterEntry(string name, string folder)
{
    public string Name => name;

    public string Folder => folder;

    public string Digest { get; set; } = "";

    public int Rank { get; set; }

    public long Bytes { get; set; }

    /// <summary>Its own tokenizer, where it brings a chat template; null for the base's.</summary>
    public Tokenizer? Tokenizer { get; set; }

    /// <summary>Its weights; null if they are not in memory.</summary>
    public Adapter? Adapter { get; set; }

    /// <summary>Requests that use it now.</summary>
    public int Users { get; set; }

    /// <summary>Which of all uses was its last.</summary>
    public long LastUse { get; set; }

    /// <summary>Whether its name is gone, and it waits for its last text.</summary>
    public bool IsRemoved { get; set; }
}

/// <summary>An adapter that a <see cref="ServingEngine"/> writes with.</summary>
/// <param name="Name">The name that requests give.</param>
/// <param name="Folder">Its folder.</param>
/// <param name="Digest">SHA-256 of its config and weights, in hexadecimal: adapters with other content have another
/// one, whatever their name.</param>
/// <param name="Rank">The highest rank of its pairs; 0 where its method has none.</param>
/// <param name="Bytes">Bytes of its weights in memory.</param>
/// <param name="IsLoaded">Whether they are in memory now.</param>
public sealed record ServedAdapter(
    string Name, string Folder, string Digest, int Rank, long Bytes, bool IsLoaded);
