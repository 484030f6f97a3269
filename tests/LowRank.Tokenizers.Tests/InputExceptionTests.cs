namespace LowRank.Tokenizers.Tests;

public sealed class InputExceptionTests
{
    [Fact]
    public void Lists_every_problem_below_its_heading()
    {
        var e = new InputException("2 problems in recipe.yaml:", ["line 1: a", "line 2: b"]);
        Assert.Equal("2 problems in recipe.yaml:\n  - line 1: a\n  - line 2: b", e.Message);
        Assert.Equal(["line 1: a", "line 2: b"], e.Problems);
    }
}
