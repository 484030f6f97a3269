using System.Globalization;
using LowRank.Adapters;
using LowRank.Data;
using LowRank.Tasks;

namespace LowRank.Recipes.Steps;

/// <summary>Explains in plain words where a recipe's choices are known to fail. Advice stops nothing, because the user
/// may know better.</summary>
internal static class RecipeAdvice
{
    // an alpha / rank of one or two is usual; beyond this limit, an update of typical size destabilises the layer
    private const double MostScale = 16;
    private const long SmallModel = 100_000_000; // models below take far higher rates (docs/lora.md, "Learning rate")

    /// <summary>Advice on a prepared run, one or two sentences each.</summary>
    public static IEnumerable<string> For(RunParts parts)
    {
        Recipe recipe = parts.Recipe;
        Adapter? adapter = parts.Attached.Adapter;
        IReadOnlyList<int> stops = parts is { Data.Task: IGeneratingTask, Tokenizer: not null } ? parts.StopTokens : [];
        string?[] advice =
        [
            Rank(recipe, adapter), Scale(recipe, adapter),
            LearningRate(recipe, parts.Model.Network.ParameterCount), WarmUp(recipe, parts.PlannedSteps),
            Ends(parts.Data.Some(recipe.Training), stops),
        ];
        return advice.OfType<string>();
    }

    // The rank of a product cannot exceed its smaller side: a higher rank costs more and adds nothing (arXiv
    // 2106.09685, section 4.1).
    private static string? Rank(Recipe recipe, Adapter? adapter)
    {
        List<(AdaptableLayer Layer, int Rank, int Side)> over = OverRank(adapter);
        if (over.Count == 0) return null;
        AdaptableLayer first = over[0].Layer;
        return $"rank {over.Max(layer => layer.Rank)} is over the size of {Count(over.Count, "adapted layer")} " +
            $"(first {first.Path}, {first.OutputSize} x {first.InputSize}): a layer has no more than {over[0].Side} " +
            $"directions to change, so the rest costs memory and adds nothing. Lower {recipe.Name("adapter.rank")}, " +
            $"and {recipe.Name("adapter.alpha")} by as much; or give those layers less in " +
            $"{recipe.Name("adapter.rank_pattern")}, or leave them out with {recipe.Name("adapter.exclude_modules")}.";
    }

    private static List<(AdaptableLayer Layer, int Rank, int Side)> OverRank(Adapter? adapter) =>
        adapter?.Config is not LoraConfig ? []
        :
        [
            .. adapter.Parts.OfType<AdaptedLayer>()
                .Select(adapted => (Layer: adapted.Base, Rank: RankOf(adapted),
                    Side: Math.Min(adapted.Base.InputSize, adapted.Base.OutputSize)))
                .Where(layer => layer.Rank > layer.Side),
        ];

    // A is [rank, in], also for embeddings.
    private static int RankOf(AdaptedLayer adapted) => (int)adapted.Layer.Weights
        .Where(weight => weight.Key.Contains("lora_A", StringComparison.Ordinal)
            || weight.Key.Contains("lora_embedding_A", StringComparison.Ordinal))
        .Select(weight => weight.Value.shape[0]).FirstOrDefault();

    private static string? Scale(Recipe recipe, Adapter? trained)
    {
        if (recipe.Adapter.Method is null || recipe.Training.InitAdapter is not null) return null;
        LoraConfig adapter = recipe.Adapter.Config;
        double scale = adapter.Scale(adapter.Rank, adapter.Alpha.Value);
        if (scale <= MostScale) return null;
        // If the rank should also be lowered, alpha refers to the lower rank.
        int rank = OverRank(trained).Select(layer => layer.Side).Append(adapter.Rank).Min();
        double alpha = 2 / adapter.Scale(rank, 1);
        string lower = rank < adapter.Rank ? $", 2 times a rank of {rank}" : "";
        return $"alpha {Number(adapter.Alpha.Value)} over rank {adapter.Rank} scales every change by " +
            $"{Number(scale, "0.#")}, where 1 or 2 is usual: training tends to diverge. Lower " +
            $"{recipe.Name("adapter.alpha")} to about {Number(alpha, "0.#")}{lower}.";
    }

    // One range of usual rates for both ends, so that no advice leads to another.
    private static string? LearningRate(Recipe recipe, long modelWeights)
    {
        if (recipe.Training.FromScratch) return null;
        double rate = recipe.EffectiveLearningRate;
        double least = recipe.UsualLearningRate;
        bool isFull = recipe.Adapter.Method is null, isSmall = modelWeights < SmallModel;
        double usual = least * (isSmall ? 10 : 1);
        string method = isFull ? "training every weight" : recipe.Adapter.MethodName;
        string what = isSmall ? $"{method} on a model of this size" : method;
        string range = isSmall ? $"{Rate(least)} to {Rate(usual)}, which are" : $"{Rate(usual)}, which is";
        if (rate > usual * (isSmall ? 5 : 10))
            return $"learning rate {Rate(rate)} is far over {range} usual for {what}: the loss tends to rise and not " +
                $"come back. Try {Rate(usual)} first.";
        if (rate >= least / 8) return null;
        string why = isFull ? "little will be learned."
            : "an adapter takes about ten times the rate of training every weight, and little will be learned at " +
            "this one.";
        return $"learning rate {Rate(rate)} is far below {range} usual for {what}: {why} Try {Rate(usual)} first.";
    }

    private static string? WarmUp(Recipe recipe, long totalSteps)
    {
        TrainingSection training = recipe.Training;
        long warmup = RecipeOptions.Warmup(training, totalSteps);
        if (warmup == 0) return null;
        bool isRatio = training.WarmupRatio > 0;
        string key = isRatio
            ? $"{recipe.Name("training.warmup_ratio")} is {Number(training.WarmupRatio, "0.####")}, which is " +
                Count(warmup, "step")
            : $"{recipe.Name("training.warmup_steps")} is {warmup}";
        long better = totalSteps / 20 >= 2 ? totalSteps / 20 : 0; // a warm-up of one step is none
        string instead = better == 0 ? "Set it to 0." : $"Lower it to about {(isRatio ? "0.05" : $"{better}")}.";
        if (warmup >= totalSteps)
            return $"{key}, and the run has {Count(totalSteps, "step")}: the learning rate never reaches its value. " +
                instead;
        return warmup > 1 ? null
            : $"{key}: a warm-up begins at rate 0, as transformers' does, so that this one trains its only step at " +
            "rate 0 and changes nothing. Set it to 0, or to 2 or more steps.";
    }

    // Labels that hide the end token, as in collators that use the end token as padding and then ignore padding.
    private static string? Ends(IReadOnlyList<IExample> examples, IReadOnlyList<int> stopTokens)
    {
        if (stopTokens.Count == 0) return null;
        var stops = stopTokens.ToHashSet();
        bool present = false;
        foreach (TokenizedExample example in examples.OfType<TokenizedExample>())
        {
            if (example.Labels.Any(stops.Contains)) return null;
            present |= example.InputIds.Any(stops.Contains);
        }
        if (!present || examples.Count == 0) return null;
        return "the token that ends a text is in the rows and never learned (labels of -100, as where padding is " +
            "the same token and is left out): the model will not learn to stop. Give that token its own id as its " +
            "label at the end of each row.";
    }

    private static string Number(double value, string format = "0.###") =>
        value.ToString(format, CultureInfo.InvariantCulture);

    private static string Rate(double rate) => Number(rate, "0.###e+0");

    private static string Count(long count, string noun) => $"{count} {noun}{(count == 1 ? "" : "s")}";
}
