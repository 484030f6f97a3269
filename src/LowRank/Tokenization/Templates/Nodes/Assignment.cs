using LowRank.Tokenization.Templates.Runtime;
using LowRank.Tokenization.Templates.Values;

namespace LowRank.Tokenization.Templates.Nodes;

/// <summary>Assigns values to targets: names, attributes of namespaces, and tuples of these.</summary>
internal static class Assignment
{
    private static readonly string[] Reserved = ["true", "false", "none", "True", "False", "None"];

    /// <summary>Whether an expression can be assigned to.</summary>
    public static bool IsTarget(Expression target) => target switch
    {
        NameExpression name => !Reserved.Contains(name.Name),
        NamespaceReference => true,
        TupleExpression tuple => tuple.Items.All(IsTarget),
        _ => false,
    };

    /// <summary>The names that a target sets.</summary>
    public static IEnumerable<string> Names(Expression target) => target switch
    {
        NameExpression name => [name.Name],
        TupleExpression tuple => tuple.Items.SelectMany(Names),
        _ => [],
    };

    /// <summary>Assigns a value in a scope.</summary>
    public static void Assign(Renderer renderer, Scope scope, Expression target, object value)
    {
        switch (target)
        {
            case NameExpression name:
                scope.Set(name.Name, value);
                break;
            case NamespaceReference reference:
                var owner = renderer.Scope.Find(reference.Name) as NamespaceValue
                    ?? throw new TemplateFault("cannot assign attribute on non-namespace object", target.Line);
                owner.Attributes[reference.Attribute] = value;
                break;
            default:
                Unpack(renderer, scope, (TupleExpression)target, value);
                break;
        }
    }

    private static void Unpack(Renderer renderer, Scope scope, TupleExpression target, object value)
    {
        var expected = target.Items.Count;
        var items = (Iteration.Find(renderer, value) ?? throw TemplateFault.Type(
            $"cannot unpack non-iterable {TypeNames.Of(value)} object")).Take(expected + 1).ToList();
        if (items.Count != expected)
        {
            throw TemplateFault.Value(items.Count < expected
                ? $"not enough values to unpack (expected {expected}, got {items.Count})"
                : $"too many values to unpack (expected {expected})");
        }

        for (var i = 0; i < expected; i++)
        {
            Assign(renderer, scope, target.Items[i], items[i]);
        }
    }
}
