using System.Diagnostics;
using System.Globalization;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Generation;
using LowRank.IO;
using LowRank.Kernels.Native;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Recipes;
using LowRank.Tokenizers;
using LowRank.Training;
using static TorchSharp.torch;

namespace LowRank.Pages;

/// <summary>Trains and measures on the embedded base, with the quickstart recipe's data and settings.</summary>
/// <remarks>Not thread-safe. Every run opens the base again, so runs do not affect each other.</remarks>
public sealed class Laboratory
{
    private const int Batch = 8;          // rows of a step: half the recipe's, for short runs
    private const int EvaluationRows = 32;
    private const int AskedRows = 100;    // test rows for which texts are generated
    private const int BaseTextRows = 64;  // rows of 256 tokens of the base's own kind of text
    private const int CostSteps = 11;
    private const int LatencyTokens = 64;
    private const int LatencyRepeats = 40;

    private readonly Recipe recipe;
    private readonly string output;
    private readonly int steps;
    private readonly Tokenizer tokenizer;
    private readonly IReadOnlyList<IExample> training, heldOut;
    private readonly Lazy<IReadOnlyList<IExample>> baseText; // not needed to time steps
    private readonly IReadOnlyList<Row> asked;

    /// <summary>Opens the data.</summary>
    /// <param name="repository">The repository's folder.</param>
    /// <param name="steps">Optimizer steps of each run.</param>
    /// <exception cref="InputException">Files are missing.</exception>
    public Laboratory(string repository, int steps)
    {
        this.steps = steps;
        recipe = Recipe.Load(Path.Combine(repository, "recipes", "quickstart.yaml"));
        output = Path.Combine(repository, "runs", "understanding");
        tokenizer = Tokenizer.Load(recipe.Model);
        training = Load(recipe.Data.Train);
        heldOut = Load(recipe.Comparison!.Data);
        baseText = new(() => BaseText(Path.Combine(repository, "models", "base", "build", "validation.jsonl")));
        asked = [.. RowSource.Load(recipe.Comparison.Data).Take(AskedRows)];
        set_num_threads(ProcessorCores.Usable());
    }

    /// <summary>Adds the data shared by all runs to the results.</summary>
    public Results Describe(Results results)
    {
        results = results with { Machine = Machine.Describe(), Date = DateTimeOffset.UtcNow.ToString("yyyy-MM-dd") };
        if (results.Untrained is not null) return results;
        using PretrainedModel model = PretrainedModel.Open(recipe.Model);
        return results with
        {
            Steps = steps,
            BatchSize = Batch,
            HeldOutRows = heldOut.Count,
            HeldOutTokens = heldOut.Sum(row => (long)row.PredictedLabels),
            FactRows = asked.Count,
            BaseTextTokens = baseText.Value.Sum(row => (long)row.PredictedLabels),
            BaseWeights = model.Network.ParameterCount,
            Untrained = Measure(model, new RunSpec("untrained", 0), 0, 0, 0, 0),
        };
    }

    /// <summary>Trains a run and measures it. Its weights stay in <c>runs/understanding</c> until the next run with its
    /// name.</summary>
    public RunResult Train(RunSpec spec)
    {
        string folder = Fresh(spec.Name);
        if (spec.Method is not null) return TrainByRecipe(spec, folder);
        using PretrainedModel model = PretrainedModel.Open(recipe.Model, trainable: spec.Rank is null);
        using Adapter? adapter = spec.Rank is { } rank ? Adapter.Create(model, Config(spec, rank), spec.Seed) : null;
        adapter?.Attach();
        ITrainedWeights trained = adapter is not null ? new TrainedAdapter(adapter)
            : spec.WeightPrefix is { } prefix ? new SelectedWeights(model, prefix) : new FullModel(model);
        var times = new StepTimes();
        long weights = trained.Weights.Sum(weight => weight.Value.numel());
        try
        {
            TrainingResult result = new Trainer(model.Decoder, trained, Options(spec), folder, times).Run(training, []);
            long bytes = new DirectoryInfo(result.SavedFolder).EnumerateFiles("*.safetensors").Sum(file => file.Length);
            return Measure(model, spec, result.Steps, weights, bytes, times.Median);
        }
        catch (NonFiniteLossException)
        {
            return new RunResult(
                spec.Name, spec.Rank, spec.LearningRate, spec.Seed, steps, weights, 0, null, 0, 0, null, times.Median);
        }
    }

    // Runs every method through a recipe, as a user would.
    private RunResult TrainByRecipe(RunSpec spec, string folder)
    {
        using RecipeRun run = RecipeRun.Prepare(Write(spec, folder, steps));
        var times = new StepTimes();
        long weights = run.TrainedParameters;
        try
        {
            TrainingResult result = run.Train(times);
            long bytes = new DirectoryInfo(result.SavedFolder).EnumerateFiles("*.safetensors").Sum(file => file.Length);
            return Measure(run.Model, spec, result.Steps, weights, bytes, times.Median);
        }
        catch (NonFiniteLossException)
        {
            return new RunResult(
                spec.Name, null, spec.LearningRate, spec.Seed, steps, weights, 0, null, 0, 0, null, times.Median);
        }
    }

    /// <summary>Measures the cost of a few steps of a method.</summary>
    /// <returns>All steps except the first, on the same rows for every method.</returns>
    public CostRound Cost(RunSpec spec)
    {
        using RecipeRun run = RecipeRun.Prepare(Write(spec, Fresh(spec.Name + "-cost"), CostSteps));
        NativeAllocator.ReturnFreedMemory();
        if (!ProcessMemory.ResetPeak())
            throw new InputException(
                "The peak memory cannot be reset on this system; expected Linux with /proc/self/clear_refs writable.");
        long before = ProcessMemory.ResidentBytes();
        var times = new StepTimes();
        TrainingResult result = run.Train(times);
        return new CostRound([.. times.Seconds], [.. times.ProcessorSeconds], result.PeakMemoryBytes - before);
    }

    private string Fresh(string name)
    {
        string folder = Path.Combine(output, name);
        if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
        Directory.CreateDirectory(folder);
        return folder;
    }

    private Recipe Write(RunSpec spec, string folder, int count)
    {
        string path = Path.Combine(folder, "given.yaml");
        File.WriteAllText(path, string.Create(CultureInfo.InvariantCulture, $$"""
            model: {{recipe.Model}}
            data: {train: {{recipe.Data.Train[0]}}}
            adapter: {method: {{spec.Method}}{{(spec.AdapterKeys == "" ? "" : ", " + spec.AdapterKeys)}}}
            training:
              steps: {{count}}
              batch_size: {{Batch}}
              learning_rate: {{spec.LearningRate}}
              schedule: {{recipe.Training.Schedule}}
              warmup_ratio: {{recipe.Training.WarmupRatio}}
              max_length: {{recipe.Training.MaxLength}}
              seed: {{spec.Seed}}
              eval_every: 0
            output: run
            """));
        return Recipe.Load(path);
    }

    /// <summary>Times the base, the attached adapter and the merged adapter, in turn.</summary>
    /// <param name="spec">A LoRA run that has been trained.</param>
    public LatencyResult Time(RunSpec spec)
    {
        // merging modifies the weights
        using PretrainedModel model = PretrainedModel.Open(recipe.Model, trainable: true);
        using Adapter adapter = Adapter.Load(Path.Combine(output, spec.Name, "adapter"), model);
        var generator = new TextGenerator(model.Decoder);
        int[] prompt = PromptEncoding.Prompt(tokenizer, asked[0].Text("prompt")!);
        List<double> plain = [], unmerged = [], merged = [];
        for (int i = 0; i <= LatencyRepeats; i++)
        {
            double alone = Time(generator, prompt);
            adapter.Attach();
            double beside = Time(generator, prompt);
            adapter.Merge();
            double within = Time(generator, prompt);
            adapter.Unmerge();
            if (i == 0) continue; // the first round is a warm-up
            plain.Add(alone);
            unmerged.Add(beside);
            merged.Add(within);
        }
        return new LatencyResult(
            spec.Rank!.Value, LatencyRepeats, LatencyTokens, plain.Min(), unmerged.Min(), merged.Min());
    }

    // Milliseconds per token from the first new token to the last, without the prompt. There is no stop token, so all
    // texts are equally long.
    private static double Time(TextGenerator generator, int[] prompt)
    {
        long first = 0;
        generator.Generate(
            [prompt], new GenerationOptions { MaxNewTokens = LatencyTokens }, (_, _) => first = first == 0
            ? Stopwatch.GetTimestamp() : first);
        return Stopwatch.GetElapsedTime(first).TotalMilliseconds / (LatencyTokens - 1);
    }

    private RunResult Measure(
        PretrainedModel model, RunSpec spec, long done, long weights, long bytes, double secondsPerStep)
    {
        double loss = Evaluation.Run(new CausalObjective(model.Decoder), heldOut, EvaluationRows, done).Loss;
        double own = Evaluation.Run(new CausalObjective(model.Decoder), baseText.Value, EvaluationRows, done).Loss;
        var options = new GenerationOptions
        {
            MaxNewTokens = recipe.Comparison!.MaxNewTokens,
            StopTokenIds = model.Generation.EosTokenIds,
        };
        int stated = 0, facts = 0;
        foreach (Row[] rows in asked.Chunk(50))
        {
            IReadOnlyList<IReadOnlyList<int>> texts = new TextGenerator(model.Decoder)
                .Generate([.. rows.Select(row => PromptEncoding.Prompt(tokenizer, row.Text("prompt")!))], options);
            stated += rows.Select(
                (row, i) => FactCheck.CountStated(
                    tokenizer.Decode(texts[i], skipSpecialTokens: true), row.Texts("facts"))).Sum();
            facts += rows.Sum(row => row.Texts("facts").Count);
        }
        return new RunResult(spec.Name, spec.Rank, spec.LearningRate, spec.Seed, done, weights, bytes, loss, stated,
            facts, own, secondsPerStep);
    }

    // Unless a run sets alpha, alpha / rank stays as in the recipe, so runs of different rank can use the same rate.
    private LoraConfig Config(RunSpec spec, int rank) => new()
    {
        Rank = rank,
        Alpha = spec.Alpha ?? rank * recipe.Adapter.Config.Alpha.Value / recipe.Adapter.Config.Rank,
        Dropout = spec.Dropout,
        TargetModules = spec.Targets is { } names ? [.. names]
            : spec.Layers is null ? ModuleSelection.AllLinear
            : ModuleSelection.Create("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        LayersToTransform = spec.Layers is { } layers ? [.. layers] : (LayerSelection?)null,
    };

    private TrainerOptions Options(RunSpec spec) => new()
    {
        Steps = steps,
        BatchSize = Batch,
        LearningRate = spec.LearningRate,
        Schedule = Enum.Parse<ScheduleKind>(recipe.Training.Schedule, ignoreCase: true),
        WarmupRatio = recipe.Training.WarmupRatio,
        Seed = spec.Seed,
        EvaluateEvery = 0,
    };

    private IReadOnlyList<IExample> Load(IReadOnlyList<string> files) =>
        ExampleLoader.Load(files, tokenizer, new ExampleOptions { MaxLength = recipe.Training.MaxLength }).Examples;

    private IReadOnlyList<IExample> BaseText(string corpus) => File.Exists(corpus)
        ? [.. Load([corpus]).Take(BaseTextRows)]
        : throw new InputException(
            $"{corpus} was not found; expected the text that was held out when the base was trained. Run " +
            "models/base/prepare.sh to create it.");
}

/// <summary>Trains some of a model's own weights and leaves the others unchanged. Shows that a trainer accepts any
/// object that says which weights require a gradient and how to save them.</summary>
public sealed class SelectedWeights : ITrainedWeights
{
    /// <summary>Makes the weights whose names start with a prefix require a gradient.</summary>
    /// <param name="model">Opened with <c>trainable: true</c>.</param>
    /// <param name="prefix">The prefix of the names.</param>
    /// <exception cref="InputException">No weight has such a name.</exception>
    public SelectedWeights(PretrainedModel model, string prefix)
    {
        Weights =
            [.. model.Network.Parameters.Where(weight => weight.Key.StartsWith(prefix, StringComparison.Ordinal))];
        if (Weights.Count == 0)
            throw new InputException(
                $"No weight begins with \"{prefix}\"; the model has " +
                $"{string.Join(", ", model.Network.Parameters.Keys.Take(10))}, ….");
        foreach (Tensor weight in model.Network.Parameters.Values) weight.requires_grad = false;
        foreach ((string _, Tensor weight) in Weights) weight.requires_grad = true;
    }

    /// <inheritdoc/>
    public IReadOnlyList<KeyValuePair<string, Tensor>> Weights { get; }

    /// <inheritdoc/>
    public string FolderName => "weights";

    /// <inheritdoc/>
    public void Save(string folder) => AtomicFolder.Write(folder, into =>
    {
        using var scope = NewDisposeScope();
        using var noGradient = no_grad();
        SafeTensorsWriter.Write(Path.Combine(into, "weights.safetensors"),
            [.. Weights.Select(weight => KeyValuePair.Create(weight.Key, weight.Value.detach().cpu()))]);
    });
}
