using LowRank.Adapters;
using LowRank.Hub;
using LowRank.Kernels;
using LowRank.Kernels.Native;
using LowRank.Models;
using LowRank.Tokenizers;
using LowRank.Training;
using TorchSharp;

namespace LowRank;

/// <summary>A pretrained language model with its adapters: adapts, writes, answers and measures.</summary>
/// <remarks>A model has a thread of its own, on which all its work is done, one call after the other in the order of
/// the calls: any other thread may call, and no call sees the adapters change while it goes on. Listeners (progress,
/// logger) are told on that thread, with the context of the call, and must not call the model themselves:
/// <see cref="InvalidOperationException"/>. A cancelled call ends after the current step or token.
/// <see cref="InputException"/> says what is wrong with what was given, all problems at once.</remarks>
/// <example><code>
/// await using LanguageModel model = await LanguageModel.LoadAsync("models/base");
/// await model.AdaptAsync("samples/hotels/train.jsonl", new LoraConfig { Rank = 16 });
/// await foreach (string piece in model.GenerateAsync("name: The Blue Lamp | type: hotel\n")) Console.Write(piece);
/// await model.Adapter!.SaveAsync("runs/hotels");
/// </code></example>
public sealed partial class LanguageModel : IAsyncDisposable
{
    private readonly LanguageModelOptions options;
    private readonly OpenedBases bases;
    private readonly ModelThread thread;
    private readonly List<LoadedAdapter> adapters = []; // changed on the thread alone
    private volatile IReadOnlyList<LoadedAdapter> known = [];
    private volatile LoadedAdapter? adapter;
    private int numbers;

    private LanguageModel(string name, string folder, LanguageModelOptions options)
    {
        (Name, this.options) = (name, options);
        bases = new OpenedBases(folder, options);
        thread = new ModelThread(nameof(LanguageModel), bases.Dispose);
    }

    /// <summary>The base: a folder, or a name on the Hub with its commit.</summary>
    public string Name { get; }

    /// <summary>The folder of the base's files.</summary>
    public string Folder => bases.Folder;

    /// <summary>Most tokens of a text: the positions that the base has.</summary>
    public int ContextLength { get; private set; }

    /// <summary>Whether the base continues texts, token by token: a decoder with an output head. Others embed, label or
    /// turn one text into another.</summary>
    public bool WritesTexts { get; private set; }

    /// <summary>The task of the base alone, such as causal_lm or sequence_classification.</summary>
    public string BaseTask { get; private set; } = "";

    /// <summary>The base's tokenizer; null where its folder has none.</summary>
    public Tokenizer? Tokenizer { get; private set; }

    /// <summary>The adapter in use; null for the base alone.</summary>
    public LoadedAdapter? Adapter => adapter;

    /// <summary>All adapters, in the order they came.</summary>
    public IReadOnlyList<LoadedAdapter> Adapters => known;

    /// <summary>Opens a model.</summary>
    /// <param name="name">A folder with <c>config.json</c>, safetensors weights and tokenizer files; or a repository of
    /// the Hugging Face Hub, <c>org/name[@revision]</c>, which is fetched into the cache.</param>
    /// <param name="options">How it is opened; null for the defaults.</param>
    /// <param name="progress">Hears of a download: bytes that have come, and those of the whole; null for
    /// nobody.</param>
    /// <param name="cancellationToken">Gives up; what was fetched stays for the next time.</param>
    /// <exception cref="InputException">There is neither such a folder nor such a repository, or its files cannot be
    /// used.</exception>
    /// <exception cref="HubException">The Hub could not be reached.</exception>
    public static async Task<LanguageModel> LoadAsync(
        string name, LanguageModelOptions? options = null, IProgress<FetchProgress>? progress = null,
        CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        options ??= new LanguageModelOptions();
        options.Validate();
        var download = new ReportedDownload(options.Logger, progress, cancellationToken);
        string folder = await ModelSource.OpenAsync(name, options.Hub, download, cancellationToken)
            .ConfigureAwait(false);
        var model = new LanguageModel(Pinned(name, folder), folder, options);
        try
        {
            await model.Do(model.Open, cancellationToken).ConfigureAwait(false);
            return model;
        }
        catch
        {
            await model.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Opens the small base of the package LowRank.Embedded, which needs no download: a decoder of 2.8 million
    /// weights that writes dictionary entries. <see cref="IO.EmbeddedFiles.TrainingRows"/> are rows to adapt it
    /// to.</summary>
    /// <param name="options">How it is opened; null for the defaults.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="InputException">The program lacks the package.</exception>
    public static Task<LanguageModel> LoadEmbeddedAsync(
        LanguageModelOptions? options = null, CancellationToken cancellationToken = default) =>
        LoadAsync(IO.EmbeddedFiles.Model, options, null, cancellationToken);

    /// <summary>Reads an adapter's folder and uses it.</summary>
    /// <param name="name">A PEFT folder, of this library, PEFT or others; or its name on the Hub.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="InputException">It cannot be used with this base: all problems at once.</exception>
    public async Task<LoadedAdapter> LoadAdapterAsync(string name, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ThrowIfDisposed();
        string folder = await HubFolder.OpenAsync(
            name, HubSelection.Adapter, options.Hub, new ReportedDownload(options.Logger, null, cancellationToken),
            cancellationToken).ConfigureAwait(false);
        return await Do(_ => Take(folder), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Uses another adapter from now on. Calls that were made before still use theirs.</summary>
    /// <param name="adapter">One of <see cref="Adapters"/>; null for the base alone.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="ArgumentException">The adapter is another model's, or was removed.</exception>
    public Task UseAdapterAsync(LoadedAdapter? adapter, CancellationToken cancellationToken = default) => Do(_ =>
    {
        if (adapter is not null) Require(adapter);
        bases.Use(adapter);
        this.adapter = adapter;
        return true;
    }, cancellationToken);

    /// <summary>Drops an adapter and its memory; where it is in use, the base is used alone from then on.</summary>
    /// <param name="adapter">One of <see cref="Adapters"/>.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <exception cref="ArgumentException">The adapter is another model's, or was removed.</exception>
    public Task RemoveAdapterAsync(LoadedAdapter adapter, CancellationToken cancellationToken = default) => Do(_ =>
    {
        Require(adapter);
        if (this.adapter == adapter) this.adapter = null;
        adapters.Remove(adapter);
        known = [.. adapters];
        bases.Remove(adapter);
        return true;
    }, cancellationToken);

    /// <summary>Writes the base with the adapter in use merged into it: a Hugging Face folder that any program loads,
    /// at the base's speed.</summary>
    /// <param name="folder">The folder to make; it appears whole or not at all.</param>
    /// <param name="cancellationToken">Gives up before it is begun.</param>
    /// <returns>How the weights were written, and how far rounding has moved them.</returns>
    /// <exception cref="InputException">No adapter is in use, it cannot be merged, or the folder is not
    /// empty.</exception>
    /// <exception cref="RunStorageException">The folder cannot be written to.</exception>
    public Task<MergeReport> MergeAsync(string folder, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        return Do(_ =>
        {
            OpenedModel opened = bases.Use(adapter);
            if (opened.Adapter is null)
                throw new InputException(
                    "No adapter is in use, so there is nothing to merge. Load or train one first.");
            RequireFree(folder, holds: null);
            return RunStorageException.Guard(
                folder, () => AdapterMerge.Write(opened.Model, opened.Adapter, Path.GetFullPath(folder)));
        }, cancellationToken);
    }

    /// <summary>Stops the work under way after its current step or token, refuses calls that wait, and closes the
    /// model.</summary>
    public ValueTask DisposeAsync() => thread.DisposeAsync();

    internal Task SaveAsync(LoadedAdapter saved, string folder, CancellationToken cancellationToken)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(folder);
        return Do(_ =>
        {
            Require(saved);
            RequireFree(folder, AdapterConfig.FileName);
            RunStorageException.Guard(folder, () => saved.Engine.Save(Path.GetFullPath(folder)));
            return true;
        }, cancellationToken);
    }

    // What is written replaces the folder.
    private static void RequireFree(string folder, string? holds)
    {
        if (File.Exists(folder) || (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any()
            && (holds is null || !File.Exists(Path.Combine(folder, holds)))))
            throw new InputException(
                $"{folder} exists and is {(File.Exists(folder) ? "a file" : "not empty")}. Expected a folder that " +
                "can be made" + (holds is null ? "." : ", or one with an adapter, which is replaced."));
    }

    private OpenedModel Open(CancellationToken cancellation)
    {
        NativeRuntime.Initialize(); // before torch, which would not say what to add where libtorch is missing
        torch.set_num_threads(options.Threads ?? ProcessorCores.Usable());
        Devices.UseTf32(bases.Device, options.Tf32);
        OpenedModel opened = bases.Use(null);
        INetwork network = opened.Model.Network;
        ContextLength = network.MaxPositions;
        WritesTexts = network is Decoder { OutputHead: not null };
        BaseTask = opened.Opening.Kind.Name;
        Tokenizer = opened.Tokenizer;
        options.Logger.Opened(Name, Folder, network.ParameterCount, options.Device);
        return opened;
    }

    private LoadedAdapter Take(string folder)
    {
        LoadedAdapter loaded = bases.Load(this, $"adapter {++numbers}", folder);
        adapters.Add(loaded);
        known = [.. adapters];
        return adapter = loaded;
    }

    private void Require(LoadedAdapter adapter)
    {
        ArgumentNullException.ThrowIfNull(adapter);
        if (!adapters.Contains(adapter))
            throw new ArgumentException(
                "The adapter does not belong to this model, or was removed from it. Load it first.", nameof(adapter));
    }

    private void ThrowIfDisposed()
    {
        if (thread.IsClosed) throw thread.Closed();
    }

    /// <summary>The model's thread.</summary>
    internal ModelThread Thread => thread;

    /// <summary>The base alone, on the model's thread.</summary>
    internal OpenedModel OpenBase() => bases.UseWhole(null);

    // Work on the model's thread; messages name what a program can change.
    internal Task<T> Do<T>(
        Func<CancellationToken, T> work, CancellationToken cancellation, Wording? wording = null) => thread.Run(token =>
    {
        token.ThrowIfCancellationRequested();
        return (wording ?? AdaptationRecipe.Wording()).Do(() => work(token));
    }, cancellation);

    // A branch of a repository may move on while the model is open; a commit does not.
    private static string Pinned(string name, string folder)
    {
        if (folder == name || HubRepository.TryParse(name) is not { } repository) return Path.GetFullPath(folder);
        var pinned = repository with { Revision = Path.GetFileName(Path.TrimEndingDirectorySeparator(folder)) };
        return pinned.IsCommit ? pinned.ToString() : folder;
    }
}

/// <summary>How far a download is.</summary>
/// <param name="Received">Bytes that have come.</param>
/// <param name="Total">Bytes of all files that the cache lacked.</param>
public sealed record FetchProgress(long Received, long Total);

/// <summary>Tells a logger and a program of a download, and ends it where it is cancelled.</summary>
internal sealed class ReportedDownload(
    Microsoft.Extensions.Logging.ILogger logger, IProgress<FetchProgress>? progress, CancellationToken cancellation)
    : IHubProgress
{
    private long received, total;

    public void Note(string message) => logger.ModelNote(message);

    public void Started(HubRepository repository, int files, long bytes)
    {
        total = bytes;
        logger.Fetching(repository.ToString(), files, bytes);
        progress?.Report(new FetchProgress(0, total));
    }

    public void Received(string file, long bytes)
    {
        cancellation.ThrowIfCancellationRequested();
        progress?.Report(new FetchProgress(received += bytes, total));
    }

    public void Finished() => progress?.Report(new FetchProgress(total, total));
}
