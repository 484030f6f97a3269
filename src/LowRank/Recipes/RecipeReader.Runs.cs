namespace LowRank.Recipes;

// Keys about a run's course and safety, not about what is learned.
internal sealed partial class RecipeReader
{
    private static TrainingSection ReadKeeping(YamlSection section, TrainingSection training) => training with
    {
        KeepCheckpoints = section.Count("keep_checkpoints", 1, training.KeepCheckpoints),
    };
}
