using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Syntax;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>A chain of comparisons, each between neighbours, ended by the first that is false.</summary>
internal sealed class ComparisonExpression(
    int line, Expression first, IReadOnlyList<(TokenKind Operation, bool Negated, Expression Operand)> rest)
    : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer)
    {
        var left = first.Evaluate(renderer);
        foreach (var (operation, negated, operand) in rest)
        {
            var right = operand.Evaluate(renderer);
            if (Compare(renderer, operation, left, right) == negated)
            {
                return false;
            }

            left = right;
        }

        return true;
    }

    private static bool Compare(Renderer renderer, TokenKind operation, object left, object right) => operation switch
    {
        TokenKind.Equal => Comparison.Equal(renderer, left, right),
        TokenKind.NotEqual => !Comparison.Equal(renderer, left, right),
        TokenKind.Less => Comparison.Order(renderer, left, right, "<") < 0,
        TokenKind.LessOrEqual => Comparison.Order(renderer, left, right, "<=") <= 0,
        TokenKind.Greater => Comparison.Order(renderer, left, right, ">") > 0,
        TokenKind.GreaterOrEqual => Comparison.Order(renderer, left, right, ">=") >= 0,
        _ => Comparison.Contains(renderer, right, left),
    };
}
