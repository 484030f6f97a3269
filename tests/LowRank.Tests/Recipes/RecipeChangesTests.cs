using LowRank.Recipes;

namespace LowRank.Tests.Recipes;

public sealed class RecipeChangesTests
{
    private static string Yaml(string more) => Recipe.Parse($"model: /m\noutput: /o\n{more}", "/").ToYaml();

    [Fact]
    public void What_is_learned_otherwise_is_named_and_what_is_only_kept_otherwise_is_not()
    {
        string earlier = Yaml("data: {train: /t}\nadapter: {rank: 4}\ntraining: {save_every: 5, schedule: cosine}");
        string now = Yaml(
            "data: {train: /elsewhere/t}\nadapter: {rank: 8}\ntraining: {save_every: 7, keep_checkpoints: 4, " +
            "learning_rate: 0.5}");
        Assert.Equal(
            ["adapter.rank was 4 when the run began, and is 8 now",
            "training.learning_rate was 0.0002 when the run began, and is 0.5 now",
            "training.schedule was \"cosine\" when the run began, and is \"linear\" now"],
            RecipeChanges.Between(earlier, now));
        Assert.Empty(RecipeChanges.Between(earlier, earlier));
    }
}
