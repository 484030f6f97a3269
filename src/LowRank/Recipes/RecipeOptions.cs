using LowRank.Adapters;
using LowRank.Data;
using LowRank.Data.Rows;
using LowRank.Data.Stored;
using LowRank.Data.Streaming;
using LowRank.Data.Packing;
using LowRank.Tasks;
using LowRank.Training;

namespace LowRank.Recipes;

/// <summary>Converts a recipe's sections to the options of the lower folders.</summary>
internal static class RecipeOptions
{
    // A crash then loses little, and writing an adapter and its optimizer state takes no noticeable fraction of the
    // time.
    private static readonly TimeSpan SaveInterval = TimeSpan.FromMinutes(10);

    public static TrainerOptions Training(Recipe recipe)
    {
        TrainingSection training = recipe.Training;
        return new TrainerOptions
        {
            Epochs = training.Epochs,
            Steps = training.Steps,
            BatchSize = training.BatchSize,
            GradientAccumulation = training.GradientAccumulation,
            LearningRate = recipe.EffectiveLearningRate,
            Schedule = Enum.Parse<ScheduleKind>(training.Schedule, ignoreCase: true),
            WarmupSteps = training.WarmupSteps,
            WarmupRatio = training.WarmupRatio,
            WeightDecay = training.WeightDecay,
            Beta1 = training.Beta1,
            Beta2 = training.Beta2,
            Epsilon = training.Epsilon,
            EightBitState = training.Optimizer == TrainingKeys.EightBit,
            MaxGradientNorm = training.MaxGradNorm,
            GradientCheckpointing = training.GradientCheckpointing,
            Shuffle = training.Shuffle && !recipe.Data.Streaming, // a stream draws by itself
            Seed = training.Seed,
            EvaluateEvery = training.EvalEvery,
            EvaluationBatchSize = training.EvalBatchSize,
            SaveEvery = training.SaveEvery,
            SaveInterval = training.SaveEvery is null && training.SavesByTime ? SaveInterval : null,
            KeepCheckpoints = training.KeepCheckpoints,
            MaxSkippedSteps = training.MaxSkippedSteps,
            Patience = training.Patience,
            MinDelta = training.MinDelta,
            MaxTime = training.MaxTime,
            MaxTokens = training.MaxTokens,
        };
    }

    /// <summary>Number of warm-up steps for a run with a given number of steps.</summary>
    public static long Warmup(TrainingSection training, long totalSteps) =>
        new TrainerOptions { WarmupSteps = training.WarmupSteps, WarmupRatio = training.WarmupRatio }.PlannedWarmup(
            totalSteps);

    public static TaskSettings Task(Recipe recipe)
    {
        TaskSection task = recipe.TaskOptions;
        return new TaskSettings
        {
            Labels = task.Labels,
            Problem = task.Problem,
            Pooling = task.Pooling,
            NewHead = task.NewHead,
            Temperature = task.Temperature,
            MaskShare = task.MaskShare,
            CenterRewardsCoefficient = task.CenterRewardsCoefficient,
            Stride = task.Stride,
            MaxAnswerTokens = task.MaxAnswerTokens,
            MaxLength = recipe.Training.MaxLength,
            IsMaxLengthGiven = recipe.Given?.ContainsKey("training.max_length")
                ?? recipe.Training.MaxLength != new TrainingSection().MaxLength,
            TrainOn = Learned(recipe.Data),
            Seed = recipe.Training.Seed,
            Batching = Batching(recipe.Training),
            Cache = recipe.Data.Cache ? new ExampleCache() : null,
            Preference = recipe.Objective.Preference,
        };
    }

    /// <summary>How rows are sampled from a stream.</summary>
    public static StreamOptions Stream(Recipe recipe) => new()
    {
        Buffer = recipe.Training.Shuffle ? recipe.Data.ShuffleBuffer : 1,
        Seed = recipe.Training.Seed,
        Weights = recipe.Data.Weights,
    };

    /// <summary>How rows of data are read.</summary>
    public static RowOptions Rows(DataSection data) => new()
    {
        OnBadRow = data.OnBadRow == "skip" ? BadRows.Skip : BadRows.Error,
        Columns = data.Columns,
        Template = data.Template.Count > 0 ? new RowTemplate(data.Template) : null,
        Text = Enum.Parse<PlainText>(data.Text, ignoreCase: true),
        Csv = data.Csv,
        Deduplicate = data.Deduplicate,
    };

    public static TrainOn Learned(DataSection data) => data.TrainOn == "all" ? TrainOn.All : TrainOn.Completion;

    private static RowBatching Batching(TrainingSection training) => new()
    {
        Packing = training.Packing,
        SharePrompts = training.SharePrompts switch
        {
            "grouped" => PromptSharing.Grouped,
            "false" => PromptSharing.Off,
            _ => PromptSharing.InStep,
        },
        BatchTokens = training.BatchTokens,
    };

    /// <summary>The adapter's config, created by its method.</summary>
    public static AdapterConfig Config(AdapterSection adapter) => adapter.Method!.Configure(adapter.Config);
}
