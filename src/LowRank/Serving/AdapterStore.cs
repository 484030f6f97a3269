using System.Globalization;
using LowRank.Adapters;
using LowRank.Adapters.Files;
using LowRank.IO;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Tasks;
using LowRank.Tokenizers;

namespace LowRank.Serving;

/// <summary>The adapters of an engine: all by name, some of them in memory. Belongs to the model's thread but for
/// <see cref="All"/> and <see cref="Read(string, string, AdapterContent)"/>.</summary>
/// <param name="model">The base.</param>
/// <param name="opening">What the base was opened with.</param>
/// <param name="tokenizer">The base's.</param>
/// <param name="options">How many there may be in memory.</param>
/// <param name="wake">Called on the pool when an adapter's files have been read for requests that wait for
/// them.</param>
internal sealed class AdapterStore(
    PretrainedModel model, TaskOpening opening, Tokenizer tokenizer, ServingOptions options, Action wake) : IDisposable
{
    private const long WorthReturning = 32 << 20; // bytes; to return memory takes the allocator some milliseconds

    private readonly List<AdapterEntry> entries = [];
    private readonly Dictionary<string, MixedAdapters> mixes = []; // by content; those of requests
    private volatile IReadOnlyList<(ServedAdapter Adapter, Tokenizer? Tokenizer)> all = [];
    private int reading;
    private long uses, freed;

    /// <summary>All of them, in the order they came, with the tokenizers for their prompts: those with a chat template
    /// of their own; null for the base's.</summary>
    public IReadOnlyList<(ServedAdapter Adapter, Tokenizer? Tokenizer)> All => all;

    /// <summary>Requests' adapters, each with other content.</summary>
    public int Requested => mixes.Count;

    /// <summary>How often one was placed in memory.</summary>
    public long Loads { get; private set; }

    /// <summary>Whether files are being read for requests that wait.</summary>
    public bool IsReading => Volatile.Read(ref reading) > 0;

    /// <summary>Adapters in memory.</summary>
    private int Loaded => entries.Count(entry => entry.Adapter is not null);

    /// <summary>Bytes of their weights.</summary>
    private long Bytes => entries.Where(entry => entry.Adapter is not null).Sum(entry => entry.Bytes);

    /// <summary>Reads what the model's thread is not needed for, of an adapter that is new; on any thread.</summary>
    /// <exception cref="InputException">It cannot be served.</exception>
    public AdapterEntry Read(string name, string folder, AdapterContent content)
    {
        TaskOpening needed = TaskOpening.From(model.Folder, folder, null, opening.Form);
        List<string> problems = [];
        if (needed.Kind.Name != opening.Kind.Name)
            problems.Add($"it was trained for {needed.Kind.Name}, and this engine writes texts ({opening.Kind.Name})");
        if (needed.Vocabulary > model.Network.VocabularySize)
            problems.Add($"it brings a vocabulary of {needed.Vocabulary} tokens, and the base has " +
                $"{model.Network.VocabularySize}: merge it into a base of its own");
        else if (AdapterVocabulary.Load(folder)?.Tokenizer(null) is { } own && HasOtherTokens(own))
            problems.Add("its tokenizer has other tokens than the base's: merge it into a base of its own");
        if (problems.Count > 0)
            throw new InputException($"The adapter {folder} cannot be served:", problems);
        if (AdapterBase.Load(folder)?.BaseSha is not null) _ = model.Fingerprint; // takes a while, once
        using SafeTensorsFile file = AdapterTensorFile.Load(folder);
        return new AdapterEntry(name, folder, content)
        {
            Tokenizer = AdapterChatTemplates.Load(folder)?.For(tokenizer),
            Bytes = file.Entries.Values.Sum(tensor => tensor.ElementCount) * sizeof(float),
        };
    }

    /// <summary>Puts an adapter into memory under a new name. Where all that is there is in use, it is checked and
    /// waits on disk for its first request.</summary>
    /// <inheritdoc cref="ServingEngine.AddAdapterAsync"/>
    public ServedAdapter Add(AdapterEntry added, bool replace)
    {
        AdapterEntry? known = Find(added.Name);
        if (known is not null && !replace)
            throw new ServingException(ServingRefusal.AdapterExists,
                $"There is an adapter \"{added.Name}\" already. Remove it first, or give another name.");
        MakeRoom([added]);
        Load(added, added.Reading!.Result);
        if (known is not null) Retire(known);
        entries.Add(added);
        if (!MakeRoom([added])) Unload(added);
        Publish();
        return Describe(added);
    }

    /// <summary>Removes an adapter; its weights go with the last text that uses it.</summary>
    public void Remove(string name) => Retire(Find(name) ?? throw Unknown(name));

    /// <summary>The adapters of a request that will be computed with them; the files of those that are not in memory
    /// are read meanwhile.</summary>
    /// <exception cref="ServingException">One is unknown.</exception>
    /// <exception cref="InputException">They are never in memory together.</exception>
    public MixedAdapters Use(IReadOnlyList<AdapterChoice> chosen)
    {
        if (chosen.Count == 0) return new MixedAdapters([], [], "");
        AdapterEntry[] used = [.. chosen.Select(choice => Find(choice.Name) ?? throw Unknown(choice.Name))];
        long bytes = used.Sum(entry => entry.Bytes);
        if (!Fits(used.Length, bytes))
            throw new InputException(
                $"The request names {used.Length} adapters with {bytes} bytes of weights; at most " +
                $"{options.MaxAdapters} with {options.AdapterBytes} bytes may be in memory at the same time. " +
                "Name fewer.");
        string content = string.Join('+', used.Zip(chosen, (entry, choice) => string.Create(
            CultureInfo.InvariantCulture, $"{entry.Digest}*{choice.Scale:R}")));
        if (!mixes.TryGetValue(content, out MixedAdapters? mixed) || !mixed.Entries.SequenceEqual(used))
            mixes[content] = mixed = new MixedAdapters(used, [.. chosen.Select(choice => choice.Scale)], content);
        mixed.Users++;
        foreach (AdapterEntry entry in used)
        {
            entry.Users++;
            entry.LastUse = ++uses;
            if (entry.Adapter is not null) continue;
            if (entry.Reading is { IsFaulted: true }) entry.Reading = null; // what others were told may be mended
            Read(entry);
        }
        return mixed;
    }

    /// <summary>Puts the adapters of a request into memory, where they stay until it ends.</summary>
    /// <param name="adapters">From <see cref="Use"/>.</param>
    /// <param name="mayLoad">Whether others may leave the memory for those that are not there.</param>
    /// <exception cref="InputException">One takes no factor, or its files cannot be read or are no longer those that
    /// were added.</exception>
    public AdapterPlace Place(MixedAdapters adapters, bool mayLoad)
    {
        if (adapters.Pins == 0 && adapters.Entries.Count > 0)
        {
            AdapterEntry[] cold = [.. adapters.Entries.Where(entry => entry.Adapter is null)];
            if (!cold.All(IsRead)) return AdapterPlace.Reading;
            if (cold.Length > 0 && !(mayLoad && MakeRoom(adapters.Entries))) return AdapterPlace.NoRoom;
            if (!cold.All(IsCurrent)) return AdapterPlace.Reading;
            foreach (AdapterEntry entry in cold) Load(entry, entry.Reading!.Result);
            adapters.Mix = new AdapterMix(
                [.. adapters.Entries.Zip(adapters.Scales, (entry, scale) => (entry.Adapter!, scale))]);
        }
        adapters.Pins++;
        foreach (AdapterEntry entry in adapters.Entries)
        {
            entry.Pins++;
            entry.LastUse = ++uses;
        }
        return AdapterPlace.InMemory;
    }

    /// <summary>Makes room for the adapters of a request where no text is computed: what was removed leaves the memory,
    /// too, and is read again for those who wait for it, if its files are still those that were added.</summary>
    /// <param name="adapters">From <see cref="Use"/>.</param>
    public void TakeRoom(MixedAdapters adapters) => MakeRoom(adapters.Entries, withRemoved: true);

    /// <summary>Ends a request's use of its adapters.</summary>
    /// <param name="adapters">From <see cref="Use"/>.</param>
    /// <param name="isPlaced">Whether they were put into memory for it.</param>
    public void Release(MixedAdapters adapters, bool isPlaced)
    {
        if (isPlaced && --adapters.Pins == 0) adapters.Mix = null;
        // Clients choose factors: what was once asked for is not kept.
        if (--adapters.Users == 0 && ReferenceEquals(mixes.GetValueOrDefault(adapters.Content), adapters))
            mixes.Remove(adapters.Content);
        foreach (AdapterEntry entry in adapters.Entries)
        {
            if (isPlaced) entry.Pins--;
            if (--entry.Users == 0 && entry.IsRemoved) Retire(entry);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (AdapterEntry entry in entries) Unload(entry);
        entries.Clear();
        Publish();
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

    private void Publish() =>
        all = [.. entries.Where(entry => !entry.IsRemoved).Select(entry => (Describe(entry), entry.Tokenizer))];

    private bool HasOtherTokens(Tokenizer own) => Enumerable.Range(0, own.VocabularySize).Any(
        id => own.IdToToken(id) is { } token && token != tokenizer.IdToToken(id));

    // On the pool, once for all who wait for it.
    private void Read(AdapterEntry entry)
    {
        if (entry.Reading is not null) return;
        Interlocked.Increment(ref reading);
        entry.Reading = Task.Run(() => Unchanged(entry));
        _ = entry.Reading.ContinueWith(read =>
        {
            _ = read.Exception; // told to those who wait for it, if they still do
            Interlocked.Decrement(ref reading);
            wake();
        }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    // Which content a name means does not depend on what had to leave the memory.
    private async Task<AdapterContent> Unchanged(AdapterEntry entry)
    {
        AdapterContent content = await options.ReadAdapter(entry.Folder, CancellationToken.None).ConfigureAwait(false);
        return content.Digest == entry.Digest ? content : throw new InputException(
            $"The adapter \"{entry.Name}\" was added with other files than {entry.Folder} has now, and has left " +
            "the memory. Add the folder again to replace it.");
    }

    private bool IsRead(AdapterEntry entry)
    {
        Read(entry);
        if (!entry.Reading!.IsCompleted) return false;
        _ = entry.Reading.GetAwaiter().GetResult(); // or what went wrong
        return true;
    }

    // Otherwise they are read again.
    private bool IsCurrent(AdapterEntry entry)
    {
        if (entry.Reading!.Result.IsCurrent(entry.Folder)) return true;
        entry.Reading = null;
        Read(entry);
        return false;
    }

    private void Load(AdapterEntry entry, AdapterContent content)
    {
        entry.Reading = null;
        List<string> problems = [];
        Adapter adapter = Adapter.Load(entry.Folder, model);
        try
        {
            if (AdapterMix.Refusal(adapter) is { } reason)
                problems.Add($"it {reason}. Merge it, and serve the merged model");
            int rank = RankOf(adapter);
            long bytes = adapter.Parts.Where(part => part is not BaseCopy).SelectMany(part => part.Weights)
                .Sum(weight => weight.Value.numel() * weight.Value.element_size());
            if (rank > options.MaxRank) problems.Add($"its rank is {rank}, and at most {options.MaxRank} is served");
            if (bytes > options.AdapterBytes)
                problems.Add($"its weights take {bytes} bytes, and those in memory at most {options.AdapterBytes}");
            if (adapter.Base?.Mismatch(entry.Folder, model, null) is { } mismatch) problems.Add(mismatch);
            if (!content.IsCurrent(entry.Folder)) problems.Add("its files were written as they were read: try again");
            if (problems.Count > 0)
                throw new InputException($"The adapter {entry.Folder} cannot be served:", problems);
            (adapter.Vocabulary, adapter.ChatTemplates) = (null, null); // whole files, which the engine has no use for
            (entry.Rank, entry.Bytes, entry.Adapter, entry.LastUse) = (rank, bytes, adapter, ++uses);
            Loads++;
            Publish();
        }
        catch
        {
            adapter.Dispose();
            throw;
        }
    }

    // Adapters that no text is computed with leave the memory for others: first those that no request waits for, and
    // of them those that were not used for longest. Where that does not suffice, all stay.
    private bool MakeRoom(IReadOnlyList<AdapterEntry> used, bool withRemoved = false)
    {
        AdapterEntry[] coming = [.. used.Where(entry => entry.Adapter is null)];
        int count = Loaded + coming.Length;
        long bytes = Bytes + coming.Sum(entry => entry.Bytes);
        if (Fits(count, bytes)) return true;
        List<AdapterEntry> leaving = [];
        foreach (AdapterEntry free in entries
            .Where(entry => entry is { Adapter: not null, Pins: 0 } && !used.Contains(entry))
            .Where(entry => withRemoved || !entry.IsRemoved)
            .OrderBy(entry => entry.IsRemoved).ThenBy(entry => entry.Users > 0).ThenBy(entry => entry.LastUse))
        {
            leaving.Add(free);
            bytes -= free.Bytes;
            if (!Fits(--count, bytes)) continue;
            foreach (AdapterEntry entry in leaving) Unload(entry);
            Publish();
            return true;
        }
        return false;
    }

    private bool Fits(int count, long bytes) => !(count > options.MaxAdapters || bytes > options.AdapterBytes);

    private void Retire(AdapterEntry entry)
    {
        entry.IsRemoved = true;
        if (entry.Users == 0)
        {
            Unload(entry);
            entries.Remove(entry);
        }
        Publish();
    }

    private void Unload(AdapterEntry entry)
    {
        if (entry.Adapter is null) return;
        entry.Adapter.Dispose();
        entry.Adapter = null;
        if (entry.Users > 0) Read(entry); // for those who wait
        freed += entry.Bytes;
        if (freed < WorthReturning && Loaded > 0) return;
        ProcessMemory.ReturnFreed();
        freed = 0;
    }
}

/// <summary>Where the adapters of a request are.</summary>
internal enum AdapterPlace
{
    /// <summary>In memory, and in use by it.</summary>
    InMemory,

    /// <summary>Their files are read.</summary>
    Reading,

    /// <summary>On disk, while others have the memory.</summary>
    NoRoom,
}

/// <summary>An adapter of the engine.</summary>
/// <param name="name">The name that requests give.</param>
/// <param name="folder">Its folder.</param>
/// <param name="content">What its files held when it was added.</param>
internal sealed class AdapterEntry(string name, string folder, AdapterContent content)
{
    public string Name => name;

    public string Folder => folder;

    public string Digest => content.Digest;

    /// <summary>Its files, read for the requests that wait; null if none does, and when they have them.</summary>
    public Task<AdapterContent>? Reading { get; set; } = Task.FromResult(content);

    public int Rank { get; set; }

    public long Bytes { get; set; }

    /// <summary>Its own tokenizer, where it brings a chat template; null for the base's.</summary>
    public Tokenizer? Tokenizer { get; init; }

    /// <summary>Its weights; null if they are not in memory.</summary>
    public Adapter? Adapter { get; set; }

    /// <summary>Requests that use it or wait.</summary>
    public int Users { get; set; }

    /// <summary>Requests that are computed with it: it stays in memory.</summary>
    public int Pins { get; set; }

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
