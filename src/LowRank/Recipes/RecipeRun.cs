using System.Text.Json;
using LowRank.Adapters;
using LowRank.Adapters.Methods;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Generation;
using LowRank.Hub;
using LowRank.IO;
using LowRank.Kernels;
using LowRank.Models;
using LowRank.Models.Families;
using LowRank.Recipes.Runs;
using LowRank.Tasks;
using LowRank.Tokenizers;
using LowRank.Training;
using LowRank.Training.Events;
using static TorchSharp.torch;

namespace LowRank.Recipes;

/// <summary>The run that a recipe describes: everything it names opened and checked, then trained and
/// compared.</summary>
/// <remarks>Belongs to the thread that prepared it.</remarks>
public sealed partial class RecipeRun : IDisposable
{
    private RecipeRun(Recipe recipe) => Recipe = recipe;

    /// <summary>The recipe.</summary>
    public Recipe Recipe { get; private set; }

    /// <summary>The base model.</summary>
    public PretrainedModel Model { get; private set; } = null!;

    /// <summary>Its tokenizer; null where the folder has none.</summary>
    public Tokenizer? Tokenizer { get; private set; }

    /// <summary>The adapter, attached; null with method full.</summary>
    public Adapter? Adapter { get; private set; }

    /// <summary>The number of weights that are trained.</summary>
    public long TrainedParameters => Trained.Weights.Sum(weight => weight.Value.numel());

    /// <summary>What was done to make it ready, in order, with the time of each part.</summary>
    public IReadOnlyList<RunStage> Stages { get; private set; } = [];

    /// <summary>What the user should know before the run starts, a sentence each.</summary>
    public IReadOnlyList<string> Notes { get; private set; } = [];

    /// <summary>Where choices of the recipe are known to fail, and what to choose instead; a sentence or two each.
    /// Nothing is changed or stopped.</summary>
    public IReadOnlyList<string> Advice { get; private set; } = [];

    private ITaskKind Kind { get; set; } = null!;

    private TaskSettings Settings { get; set; } = null!;

    private ITask Task { get; set; } = null!;

    private IReadOnlyList<IExample> Examples { get; set; } = [];

    private IReadOnlyList<IExample> Validation { get; set; } = [];

    private IReadOnlyList<Sample> ComparisonRows { get; set; } = [];

    private IReadOnlyList<IExample> ComparisonExamples { get; set; } = [];

    private ITrainedWeights Trained { get; set; } = null!;

    private ITrainingHooks? rules;
    private AdapterVocabulary? vocabulary; // of tokens that the recipe adds
    private AdapterChatTemplates? templates; // that what is trained keeps
    private long programBytes;

    /// <summary>Opens the model, reads the data and attaches the adapter. Nothing is written.</summary>
    /// <param name="recipe">The recipe.</param>
    /// <param name="progress">Hears of what is fetched from the Hub; null for nobody.</param>
    /// <exception cref="InputException">Anything that the recipe names is missing or does not fit: all problems at
    /// once.</exception>
    /// <exception cref="HubException">The model is to be fetched, and the Hub could not be reached.</exception>
    public static RecipeRun Prepare(Recipe recipe, IHubProgress? progress = null)
    {
        RecipeSources.RequireFiles(recipe);
        var run = new RecipeRun(recipe);
        var preparation = new RunPreparation();
        List<string> problems = preparation.Problems, notes = [.. recipe.ReadingNotes];
        Device device = CPU;
        preparation.Try("native library", run.LoadNative);
        preparation.Try("device", () => device = Devices.Parse(recipe.Device));
        Devices.UseTf32(device, recipe.Tf32);
        preparation.Try("output folder", () => OutputFolder.Check(recipe.Output));
        preparation.Try("fetching", () => run.FetchByName(progress));
        if (run.fetched) preparation.Try("model", () => run.OpenModel(device, notes));
        if (run.Model is not null)
        {
            bool canRead = false; // what a broken tokenizer makes of the data says nothing of the data
            preparation.Try("tokenizer", () =>
            {
                run.OpenTokenizer(notes);
                canRead = true;
            });
            if (canRead) preparation.Try("data", () => run.ReadData(notes));
            preparation.Try("adapter", () => run.AttachAdapter(notes));
            if (problems.Count == 0) preparation.Try("keys", () => problems.AddRange(run.CheckKeys(notes)));
        }
        else
        {
            problems.AddRange(MissingData(recipe.Data).Where(missing => !problems.Contains(missing)));
        }
        if (problems.Count > 0)
        {
            run.Dispose();
            throw problems.Count == 1 ? new InputException(problems[0])
                : new InputException("The recipe cannot be run:", problems);
        }
        (run.Notes, run.Stages) = (notes, preparation.Stages);
        run.Advice = [
            .. RecipeAdvice.Of(recipe, run.Adapter, run.SomeExamples, run.Task is IGeneratingTask
            && run.Tokenizer is not null ? run.StopTokens() : [], run.PlannedSteps, run.Model!.Network.ParameterCount)];
        return run;
    }

    /// <summary>Trains, and writes the weights, the metrics and the resolved recipe into the output folder.</summary>
    /// <param name="observer">Hears of progress; <c>metrics.jsonl</c> is written besides.</param>
    /// <param name="resume">True goes on from the newest checkpoint in the output folder.</param>
    /// <param name="cancellation">Ends the run after the current step; the weights so far are saved, and a checkpoint
    /// to resume from.</param>
    /// <exception cref="InputException">There is nothing to resume from, or another run writes to the output
    /// folder.</exception>
    /// <exception cref="RunStorageException">The output folder cannot be written to; what was saved before
    /// stays.</exception>
    public TrainingResult Train(
        ITrainingObserver observer, bool resume = false, CancellationToken cancellation = default)
    {
        if (resume) CheckpointStore.RequireAny(Recipe.Output);
        waits = new StorageWait(Timeout.InfiniteTimeSpan, observer.Waiting);
        using RunFolder folder = RunFolder.Hold(Recipe.Output, waits);
        if (!resume) EarlierRun = PreviousRun.Keep(Recipe.Output, [modelFolder]);
        set_num_threads(Recipe.Training.Threads ?? ProcessorCores.Physical());
        using var metrics = new MetricsWriter(Path.Combine(Recipe.Output, "metrics.jsonl"), resume, waits);
        using TensorBoardWriter? events = Recipe.Training.TensorBoard
            ? new TensorBoardWriter(Path.Combine(Recipe.Output, "tensorboard"), waits: waits) : null;
        var kept = new RunBeginning(() => KeepBeginning(resume));
        var trainer = new Trainer(Task, Trained, RecipeOptions.Training(Recipe), folder,
            Shown(new ObserverGroup(
                [kept, metrics, new RunFactsWriter(Recipe.Output, Facts(), waits), .. events is null ? []
                : new[] { events }, observer])));
        TrainingResult result = trainer.Run(Examples, Validation, resume, cancellation);
        waits = null; // the weights are written: what comes after them is no reason to wait for ever
        return result;
    }

    private StorageWait? waits;

    // What the folder keeps of the run's beginning, once it is taken up: a resume that is refused changes nothing.
    private void KeepBeginning(bool resume)
    {
        stream?.KeepMarks(Path.Combine(Recipe.Output, "stream.marks"), waits);
        WriteKept("recipe.yaml", Recipe.ToYaml());
        if (!resume) KeepBefore();
    }

    private void WriteKept(string name, string text)
    {
        string path = Path.Combine(Recipe.Output, name);
        RunStorageException.Guard(path, () => AtomicFile.Write(path, text), waits);
    }

    /// <summary>Where the files of an earlier run in the same output folder were moved to; null when there was
    /// none.</summary>
    public string? EarlierRun { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        rules?.Dispose();
        stream?.Dispose();
        Adapter?.Dispose();
        Model?.Dispose();
    }

    private void LoadNative()
    {
        Kernels.Native.NativeRuntime.Initialize();
        using Tensor first = zeros(1);
        programBytes = ProcessMemory.ResidentBytes();
    }

    private void OpenModel(Device device, List<string> notes)
    {
        Kind = TaskRegistry.Get(Recipe.Task);
        ConfigReader config = ConfigReader.Open(Path.Combine(modelFolder, "config.json"));
        IModelFamily family = FamilyRegistry.Get(config.ModelType);
        if (!Kind.Fits(family))
        {
            string[] fitting = [.. TaskRegistry.Names.Where(name => TaskRegistry.Get(name).Fits(family))];
            throw new InputException(
                $"task is {Recipe.Task}, which a {config.ModelType} model ({Recipe.Model}) cannot be adapted to; " +
                $"it can be to {string.Join(", ", fitting)}.");
        }
        AdapterTask? earlier = initFolder is { } folder ? AdapterTask.Load(folder) : null;
        TaskSettings given = RecipeOptions.Task(Recipe);
        if (earlier is not null)
            given = given with { Sentence = earlier.Sentence, Labels = given.Labels
                ?? earlier.Labels, Problem = given.Problem ?? earlier.Problem };
        Settings = Kind.Complete(given, RowSource.Of(Recipe.Data.Train, RecipeOptions.Rows(Recipe.Data)), config);
        HeadRequest head = RequestHead(HeadRequest.Of(config, family));
        vocabulary = initFolder is null && Recipe.Adapter.NewTokens is { Count: > 0 } tokens
            ? AdapterVocabulary.Extend(modelFolder, tokens) : null;
        int rows = vocabulary?.Rows ?? (initFolder is { } begun ? AdapterVocabulary.RowsFor(begun) : 0);
        Model = Recipe.Training.FromScratch
            ? PretrainedModel.FromScratch(modelFolder, Recipe.Training.Seed, device, head)
            : PretrainedModel.Open(modelFolder, device, trainable: Recipe.Adapter.Method == "full", head, rows,
                AdapterBase.DtypeFor(initFolder is { } started ? [started] : [], Recipe.BaseDtype));
        if (Settings.Labels is { } labels)
            notes.Add($"{labels.Count} labels: {string.Join(", ", labels.Take(20))}{(labels.Count > 20 ? ", …" : "")}");
        if (Settings.Problem is { } problem) notes.Add($"problem: {problem}");
        notes.AddRange(Settings.Notes);
        if (Settings.LengthNote(Model.Network) is { } shorter) notes.Add($"training.{shorter}");
        notes.AddRange(Model.Notes);
        if (Model.Network.PackedWeights.Values.Select(weight => weight.Format).FirstOrDefault() is { } format)
            notes.Add(
                $"{Model.Network.PackedWeights.Count} weights of the base are kept in {format}: " +
                $"{Model.Network.PackedWeights.Values.Sum(weight => weight.ElementCount):n0} numbers in " +
                $"{Model.Network.PackedWeights.Values.Sum(weight => weight.Bytes) / 1e6:n1} MB");
        if (Model.Network.CreatedWeights.Count > 0)
            notes.Add((Settings.NewHead ? "the head is a new one (task_options.new_head)"
                : "the base has no weights for its head")
                + $", which starts at random: {string.Join(", ", Model.Network.CreatedWeights)}");
    }

    private HeadRequest RequestHead(HeadRequest own)
    {
        int size = Kind.HeadSize(Settings);
        bool isClassifier = Kind.Head is HeadKind.SequenceClassification or HeadKind.TokenClassification;
        if (isClassifier && own.Kind == Kind.Head && own.Labels != size && !Settings.NewHead && initFolder is null
            && !Recipe.Training.FromScratch)
            throw new InputException(
                $"The base {Recipe.Model} is a classifier with {own.Labels} scores, and the data asks for {size} " +
                $"({(Settings.Labels is { } labels ? string.Join(", ", labels.Take(20)) : Settings.Problem)}). " +
                "Set task_options.new_head: true to begin with a new head; or name the base's labels in the data.");
        return new HeadRequest(Kind.Head, size, Recipe.Training.Seed)
        {
            Renewal = Settings.NewHead ? HeadRenewal.Always : initFolder is not null ? HeadRenewal.WhereOther
                : HeadRenewal.Never,
        };
    }

    private void OpenTokenizer(List<string> notes)
    {
        (Tokenizer, templates) =
            RecipeTokenizer.Open(Recipe, modelFolder, initFolder, vocabulary, Model.Generation.EndOfText);
        notes.AddRange(Tokenizer?.Notes ?? []);
    }

    private void AttachAdapter(List<string> notes)
    {
        if (Recipe.Adapter.Method == "full")
        {
            Trained = new FullModel(
                Model) { Task = Task?.Describe(), Data = RecipeOptions.Kept(Recipe.Data), ChatTemplates = templates };
            return;
        }
        IAdapterMethod method = AdapterMethods.Get(Recipe.Adapter.Method);
        MethodOptions options = RecipeOptions.Method(Recipe.Adapter);
        Adapter = initFolder is { } folder
            ? Adapters.Adapter.Load(folder, Model)
            : Adapters.Adapter.Create(Model, Configured(), Recipe.Training.Seed,
                method.CalibrationExamples(options) is > 0 and var count && Task is not null
                    ? new ExampleCalibration(Task, Examples, count) : null);
        if (initFolder is { } begun) RequireKind(begun, method, options);
        notes.AddRange(Adapter.Warnings);
        Adapter.Vocabulary = vocabulary ?? Adapter.Vocabulary;
        Adapter.ChatTemplates = templates ?? Adapter.ChatTemplates;
        if (vocabulary is not null)
            notes.Add(
                "new tokens: " +
                $"{string.Join(", ", Recipe.Adapter.NewTokens!.Zip(vocabulary.NewIds).Select(token => $"{token.First} ({token.Second})"))}; the adapter's folder has the tokenizer with them");
        Adapter.Task = Task?.Describe() ?? Adapter.Task;
        // sentence-transformers looks for it in the adapter's folder
        if (Adapter.Task?.Sentence is not null) Adapter.Vocabulary ??= AdapterVocabulary.Load(modelFolder);
        Adapter.Data = RecipeOptions.Kept(Recipe.Data);
        Adapter.Attach();
        Trained = new TrainedAdapter(Adapter, rules = method.Rules(Adapter, options));
    }

    // What base, adapter and rows decide about the recipe's keys.
    private IReadOnlyList<string> CheckKeys(List<string> notes)
    {
        var unread = new DataProblems(); // told where the rows are read
        IReadOnlyList<string> files =
            RowFiles.Expand(
                [.. Recipe.Data.Train, .. Recipe.Data.Validation, .. Recipe.Comparison?.Data ?? []], unread);
        var choices = new PreparedChoices(Recipe, Model, Adapter, initFolder, files, [.. Prompted()]);
        notes.AddRange(choices.Notes());
        return [.. choices.Problems()];
    }

    // The rules of a method are for its own kind of adapter.
    private void RequireKind(string folder, IAdapterMethod method, MethodOptions options)
    {
        string found = Adapter!.Config.PeftType;
        if (method.Configure(new LoraConfig(), options).PeftType == found) return;
        IEnumerable<string> fitting = AdapterMethods.All.Where(
            other => other.Configure(new LoraConfig(), new MethodOptions(other)).PeftType == found)
            .Select(other => other.Name);
        throw new InputException(
            $"training.init_adapter: {folder} is a {found} adapter, and adapter.method is {method.Name}. Set " +
            $"adapter.method to {string.Join(" or ", fitting)}.");
    }
}
