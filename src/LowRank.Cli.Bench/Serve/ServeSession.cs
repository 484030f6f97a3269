using System.Diagnostics;
using LowRank.Cli.Bench.Generate;
using LowRank.Data;
using LowRank.Generation;
using LowRank.Models;
using LowRank.Quantization;
using LowRank.Serving;

namespace LowRank.Cli.Bench.Serve;

/// <summary>An engine on weights in one of the measured formats, and what is measured of it in each round.</summary>
internal sealed class ServeSession : IDisposable
{
    private readonly ServeOptions options;
    private readonly LanguageModel model;
    private readonly ServingEngine engine, guessing;
    private readonly TokenLog log, guessLog;
    private readonly StableRandom random = new(GenerateBench.Seed);
    private readonly GenerationWay generator = new(1, adapted: false);
    private readonly IReadOnlyList<int[]> known; // prompts that every round repeats
    private readonly List<TokenTimes> one = [], adapted = [], mixed = [], whole = [], plain = [], guessed = [];
    private readonly List<double> prompts = [], adaptedPrompts = [], firstWaits = [], repeatedWaits = [];
    private readonly IReadOnlyList<List<TokenTimes>> batches;
    private readonly List<ServeLoad> loads = [];
    private int[] quoting = [];
    private double tokensPerStep;

    private ServeSession(ServeOptions options, LanguageModel model, ServingEngine engine, ServingEngine guessing)
    {
        (this.options, this.model, this.engine, this.guessing) = (options, model, engine, guessing);
        (log, guessLog) = (new TokenLog(engine), new TokenLog(guessing));
        OpenedModel opened = Do(model.OpenBase);
        (Format, VocabularySize) = (opened.Model.Network.PackedWeights.Values.FirstOrDefault()?.Format
            ?? WeightFormats.Float32, opened.Model.Network.VocabularySize);
        known = Prompts(Math.Max(options.Batch.Max(), options.Adapters));
        batches = [.. options.Batch.Select(_ => new List<TokenTimes>())];
    }

    /// <summary>The format of the weights, with <see cref="WeightFormats.Auto"/> resolved.</summary>
    public string Format { get; }

    private int VocabularySize { get; }

    /// <summary>Opens the model in a format, with its engine and the adapters.</summary>
    public static ServeSession Open(ServeOptions options, ServeFolder folder, string format) =>
        OpenAsync(options, folder, format).GetAwaiter().GetResult();

    /// <summary>Does everything once, untimed, so that all is compiled and read from the disk.</summary>
    public void Prepare()
    {
        // Greedy continuations of a random model go round in circles: a text that has the circle in its prompt.
        ServedPiece whole = Wait(Collect(engine, Request([random.Below(VocabularySize)], null) with
            { LogProbs = 0, Generation = Greedy(Math.Max(1, options.Prompt - 2)) }));
        int[] circle = [.. whole.Tokens.Select(token => token.Id)];
        quoting = [.. circle, .. circle.Take(2)];
        foreach (int[] prompt in known) Wait(Collect(engine, Request(prompt, null) with { Generation = Greedy(1) }));
        foreach (int adapter in Enumerable.Range(0, options.Adapters))
            Wait(Collect(engine, Request(known[adapter], adapter) with { Generation = Greedy(1) }));
        foreach (ServingEngine each in new[] { engine, guessing }) Wait(Collect(each, Request(quoting, null)));
    }

    /// <summary>Measures everything but arrivals once, one after the other.</summary>
    public void Round()
    {
        one.Add(Run([(Prompt(), null)]));
        prompts.Add(log.Reads[0]);
        adapted.Add(Run([(Prompt(), 0)]));
        adaptedPrompts.Add(log.Reads[0]);
        int[] prompt = Prompt();
        Do(() =>
        {
            generator.Run(new TextGenerator(model.OpenBase().Model.Decoder), [prompt], options.New);
            return true;
        });
        foreach ((int texts, List<TokenTimes> found) in options.Batch.Zip(batches))
            found.Add(Run([.. known.Take(texts).Select(text => (text, (int?)null))]));
        mixed.Add(Run([.. known.Take(options.Adapters).Select((text, adapter) => (text, (int?)adapter))]));
        whole.Add(Run([.. Prompts(options.Adapters).Select((text, adapter) => (text, (int?)adapter))]));
        foreach (List<double> waits in new[] { firstWaits, repeatedWaits })
        {
            Run([(prompt, null)]);
            waits.Add(log.Waits[0]);
        }
        plain.Add(Run([(quoting, null)]));
        ServingStatistics before = guessing.Statistics;
        guessed.Add(Run([(quoting, null)], guessing, guessLog));
        ServingStatistics after = guessing.Statistics;
        tokensPerStep = (double)(after.NewTokens - before.NewTokens) / (after.Steps - before.Steps);
    }

    /// <summary>Lets requests with different adapters arrive at random, at each of the rates.</summary>
    public void MeasureLoads()
    {
        foreach (double share in options.Load) loads.Add(Wait(Arrive(share, share / SecondsPerRequest)));
    }

    /// <summary>What the rounds found.</summary>
    public ServeMeasurement Found() => new()
    {
        Options = options,
        Format = Format,
        One = one,
        Adapted = adapted,
        Generator = generator,
        PromptSeconds = prompts,
        AdaptedPromptSeconds = adaptedPrompts,
        Batches = batches,
        Mixed = mixed,
        Whole = whole,
        FirstWaits = firstWaits,
        RepeatedWaits = repeatedWaits,
        Plain = plain,
        Guessed = guessed,
        TokensPerStep = tokensPerStep,
        Loads = loads,
    };

    /// <inheritdoc/>
    public void Dispose()
    {
        log.Dispose();
        guessLog.Dispose();
        Wait(Close());
    }

    private double SecondsPerRequest => Median.Of([.. whole.Select(run => run.Seconds / run.Texts)]);

    private static async Task<ServeSession> OpenAsync(ServeOptions options, ServeFolder folder, string format)
    {
        LanguageModel model = await LanguageModel.LoadAsync(folder.Path, new LanguageModelOptions
        {
            BaseDtype = format, BaseHead = options.BaseHead, ComputeDtype = options.ComputeDtype,
            Threads = options.Threads,
        }).ConfigureAwait(false);
        try
        {
            var limits = new ServingOptions
                { MaxBatch = Math.Max(new ServingOptions().MaxBatch, Math.Max(options.Batch.Max(), options.Adapters)) };
            ServingEngine engine = await ServingEngine.StartAsync(model, limits).ConfigureAwait(false),
                guessing = await ServingEngine.StartAsync(model, limits with { PromptLookup = true })
                    .ConfigureAwait(false);
            foreach ((int index, string adapter) in folder.Adapters.Index())
                await engine.AddAdapterAsync(Name(index), adapter).ConfigureAwait(false);
            return new ServeSession(options, model, engine, guessing);
        }
        catch
        {
            await model.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    private async Task<bool> Close()
    {
        await engine.DisposeAsync().ConfigureAwait(false);
        await guessing.DisposeAsync().ConfigureAwait(false);
        await model.DisposeAsync().ConfigureAwait(false);
        return true;
    }

    private async Task<ServeLoad> Arrive(double share, double perSecond)
    {
        log.Clear();
        long started = Stopwatch.GetTimestamp();
        List<Task<ServedPiece>> texts = [];
        double at = 0;
        for (int i = 0; i < options.Requests; i++)
        {
            at -= Math.Log(1 - random.NextDouble()) / perSecond; // Poisson arrivals
            TimeSpan left = TimeSpan.FromSeconds(at) - Stopwatch.GetElapsedTime(started);
            if (left > TimeSpan.Zero) await Task.Delay(left).ConfigureAwait(false);
            texts.Add(Collect(engine, Request(Prompt(), random.Below(options.Adapters))));
        }
        await Task.WhenAll(texts).ConfigureAwait(false);
        return new ServeLoad(share, perSecond, [.. log.Waits.Order()], [.. log.Between.Order()]);
    }

    private TokenTimes Run(
        IReadOnlyList<(int[] Prompt, int? Adapter)> texts, ServingEngine? other = null, TokenLog? otherLog = null)
    {
        TokenLog own = otherLog ?? log;
        own.Clear();
        long started = Stopwatch.GetTimestamp();
        Wait(Task.WhenAll(texts.Select(text => Collect(other ?? engine, Request(text.Prompt, text.Adapter)))));
        return own.Times(texts.Count, started);
    }

    private static async Task<ServedPiece> Collect(ServingEngine engine, ServingRequest request)
    {
        ServedText text = await engine.SubmitAsync(request).ConfigureAwait(false);
        return (await text.CollectAsync().ConfigureAwait(false))[0];
    }

    private ServingRequest Request(int[] prompt, int? adapter) => new(prompt)
    {
        Adapters = adapter is { } index ? [new AdapterChoice(Name(index))] : [],
        Generation = Greedy(options.New),
        IgnoresEndOfText = true,
    };

    private static GenerationOptions Greedy(int tokens) => new() { MaxNewTokens = tokens, Temperature = 0 };

    private int[] Prompt() => [.. Enumerable.Range(0, options.Prompt).Select(_ => random.Below(VocabularySize))];

    private IReadOnlyList<int[]> Prompts(int count) => [.. Enumerable.Range(0, count).Select(_ => Prompt())];

    private T Do<T>(Func<T> work) => Wait(model.Do(_ => work(), CancellationToken.None));

    private static T Wait<T>(Task<T> task) => task.GetAwaiter().GetResult();

    private static string Name(int adapter) => FormattableString.Invariant($"adapter-{adapter}");
}
