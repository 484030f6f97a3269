namespace LowRank.Recipes;

// Keys about a run's course and safety, not about what is learned.
internal sealed partial class RecipeReader
{
    private static TrainingSection ReadCourse(YamlSection section, TrainingSection training) => training with
    {
        KeepCheckpoints = section.Count("keep_checkpoints", 1, training.KeepCheckpoints),
        MaxSkippedSteps = section.Count("max_skipped_steps", 1, training.MaxSkippedSteps),
        Patience = (int?)section.Whole("patience", 1, int.MaxValue),
        MinDelta = section.Number("min_delta", training.MinDelta),
        MaxTime = section.Time("max_time"),
        MaxTokens = section.Whole("max_tokens", 1),
    };
}
