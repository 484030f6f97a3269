using System.Text;

namespace LowRank.Jinja;

/// <summary>An expression of a template.</summary>
/// <param name="line">The line on which it begins, counted from 1.</param>
internal abstract class Expression(int line)
{
    /// <summary>The line on which it begins, counted from 1.</summary>
    public int Line { get; } = line;

    /// <summary>The value in the renderer's scope.</summary>
    public object Evaluate(Renderer renderer)
    {
        renderer.Budget.Begin(Line);
        return Compute(renderer);
    }

    /// <summary>Computes the value and counts the step.</summary>
    protected abstract object Compute(Renderer renderer);
}

/// <summary>A literal.</summary>
internal sealed class ConstantExpression(int line, object value) : Expression(line)
{
    /// <summary>The value.</summary>
    public object Value { get; } = value;

    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) => Value;
}

/// <summary>A variable.</summary>
internal sealed class NameExpression(int line, string name) : Expression(line)
{
    /// <summary>The variable's name.</summary>
    public string Name { get; } = name;

    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) =>
        renderer.Scope.Find(Name) ?? UndefinedValue.Variable(Name);
}

/// <summary>A list.</summary>
internal sealed class ListExpression(int line, IReadOnlyList<Expression> items) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) =>
        new ListValue([.. items.Select(item => item.Evaluate(renderer))]);
}

/// <summary>A tuple, with or without parentheses.</summary>
internal sealed class TupleExpression(int line, IReadOnlyList<Expression> items) : Expression(line)
{
    /// <summary>The items.</summary>
    public IReadOnlyList<Expression> Items { get; } = items;

    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) =>
        new TupleValue([.. Items.Select(item => item.Evaluate(renderer))]);
}

/// <summary>A dictionary.</summary>
internal sealed class DictionaryExpression(int line, IReadOnlyList<(Expression Key, Expression Value)> items)
    : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer)
    {
        var dictionary = new DictionaryValue(renderer.Keys);
        foreach (var (key, value) in items)
        {
            dictionary.Items[key.Evaluate(renderer)] = value.Evaluate(renderer);
        }

        return dictionary;
    }
}

/// <summary><c>owner.name</c>.</summary>
internal sealed class AttributeExpression(int line, Expression owner, string name) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) =>
        Access.Attribute(renderer, owner.Evaluate(renderer), name);
}

/// <summary><c>owner[key]</c>.</summary>
internal sealed class ItemExpression(int line, Expression owner, Expression key) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) =>
        Access.Item(renderer, owner.Evaluate(renderer), key.Evaluate(renderer));
}

/// <summary><c>owner[start:stop:step]</c>; an omitted bound is null.</summary>
internal sealed class SliceExpression(
    int line, Expression owner, Expression? start, Expression? stop, Expression? step) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) => Access.Slice(
        renderer, owner.Evaluate(renderer), Bound(renderer, start), Bound(renderer, stop), Bound(renderer, step));

    private static object Bound(Renderer renderer, Expression? bound) => bound?.Evaluate(renderer) ?? None.Value;
}

/// <summary>A sign, or <c>not</c>.</summary>
internal sealed class UnaryExpression(int line, TokenKind operation, Expression operand) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer)
    {
        var value = operand.Evaluate(renderer);
        return operation switch
        {
            TokenKind.Minus => Arithmetic.Negate(value),
            TokenKind.Plus => Arithmetic.Plus(value),
            _ => !Truth.Of(renderer, value),
        };
    }
}

/// <summary>Arithmetic on two values.</summary>
internal sealed class BinaryExpression(int line, TokenKind operation, Expression left, Expression right)
    : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer)
    {
        var one = left.Evaluate(renderer);
        var two = right.Evaluate(renderer);
        renderer.Budget.Line = Line;
        return operation switch
        {
            TokenKind.Plus => Arithmetic.Add(renderer, one, two),
            TokenKind.Minus => Arithmetic.Subtract(one, two),
            TokenKind.Star => Arithmetic.Multiply(renderer, one, two),
            TokenKind.Slash => Arithmetic.Divide(one, two),
            TokenKind.DoubleSlash => Arithmetic.FloorDivide(one, two),
            TokenKind.Percent => Arithmetic.Modulo(renderer, one, two),
            _ => Arithmetic.Power(one, two),
        };
    }
}

/// <summary><c>a ~ b</c>: the values concatenated as text.</summary>
internal sealed class ConcatenationExpression(int line, IReadOnlyList<Expression> items) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer)
    {
        var result = new StringBuilder();
        foreach (var item in items)
        {
            var text = Display.Text(renderer, item.Evaluate(renderer));
            renderer.Budget.CheckLength((long)result.Length + text.Length);
            renderer.Budget.SpendCharacters(text.Length);
            result.Append(text);
        }

        return result.ToString();
    }
}

/// <summary>A chain of comparisons between neighbours that stops at the first false one.</summary>
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

/// <summary><c>and</c> and <c>or</c>: the value is one of the operands, and the second is evaluated only if
/// needed.</summary>
internal sealed class LogicalExpression(int line, bool isAnd, Expression left, Expression right) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer)
    {
        var value = left.Evaluate(renderer);
        return Truth.Of(renderer, value) == isAnd ? right.Evaluate(renderer) : value;
    }
}

/// <summary><c>a if condition else b</c>; without <c>else</c> the value is undefined.</summary>
internal sealed class ConditionalExpression(int line, Expression condition, Expression then, Expression? otherwise)
    : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) => Truth.Of(renderer, condition.Evaluate(renderer))
        ? then.Evaluate(renderer)
        : otherwise?.Evaluate(renderer) ?? new UndefinedValue(
            $"the inline if-expression on line {Line} evaluated to false and no else section was defined");
}

/// <summary>A call.</summary>
internal sealed class CallExpression(int line, Expression function, ArgumentList arguments) : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) => Call(renderer, null);

    /// <summary>Calls with the body of a call block, if there is one, as the argument <c>caller</c>.</summary>
    public object Call(Renderer renderer, MacroValue? caller)
    {
        var target = function.Evaluate(renderer);
        var values = arguments.Evaluate(renderer);
        if (caller is not null)
        {
            values = values with { Named = [.. values.Named, KeyValuePair.Create("caller", (object)caller)] };
        }

        renderer.Budget.Line = Line;
        return Calls.Invoke(renderer, target, values);
    }
}

/// <summary>A filter applied to a value, or, in a filter block, to the block's text.</summary>
internal sealed class FilterExpression(int line, Expression? input, string name, ArgumentList arguments)
    : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer) => Apply(renderer, null);

    /// <summary>Applies the chain of filters to the text of a block.</summary>
    public object Apply(Renderer renderer, string? block)
    {
        var value = input switch
        {
            null => block!,
            FilterExpression inner => inner.ApplyInner(renderer, block),
            _ => input.Evaluate(renderer),
        };
        var values = arguments.Evaluate(renderer);
        renderer.Budget.Line = Line;
        return FilterTable.Apply(renderer, name, value, values);
    }

    private object ApplyInner(Renderer renderer, string? block)
    {
        renderer.Budget.Begin(Line);
        return Apply(renderer, block);
    }
}

/// <summary><c>value is test</c>.</summary>
internal sealed class TestExpression(int line, Expression input, string name, ArgumentList arguments)
    : Expression(line)
{
    /// <inheritdoc/>
    protected override object Compute(Renderer renderer)
    {
        var value = input.Evaluate(renderer);
        var values = arguments.Evaluate(renderer);
        renderer.Budget.Line = Line;
        return TestTable.Apply(renderer, name, value, values);
    }
}

/// <summary>The arguments in the source of a call, a filter or a test.</summary>
/// <param name="Positional">The arguments by place.</param>
/// <param name="Named">The arguments by name.</param>
/// <param name="Unpacked">What follows <c>*</c>, or null.</param>
/// <param name="UnpackedNamed">What follows <c>**</c>, or null.</param>
internal sealed record ArgumentList(
    IReadOnlyList<Expression> Positional,
    IReadOnlyList<(string Name, Expression Value)> Named,
    Expression? Unpacked,
    Expression? UnpackedNamed)
{
    /// <summary>No arguments.</summary>
    public static ArgumentList Empty { get; } = new([], [], null, null);

    /// <summary>Evaluates the arguments.</summary>
    public Arguments Evaluate(Renderer renderer)
    {
        if (Positional.Count == 0 && Named.Count == 0 && Unpacked is null && UnpackedNamed is null)
        {
            return Arguments.Empty;
        }

        List<object> positional = [.. Positional.Select(argument => argument.Evaluate(renderer))];
        if (Unpacked is not null)
        {
            positional.AddRange(Iteration.Of(renderer, Unpacked.Evaluate(renderer)));
        }

        var named = new List<KeyValuePair<string, object>>();
        foreach (var (name, value) in Named)
        {
            Add(named, name, value.Evaluate(renderer));
        }

        if (UnpackedNamed is not null)
        {
            AddUnpacked(renderer, named, UnpackedNamed.Evaluate(renderer));
        }

        SpendText(renderer, positional);
        return new Arguments(positional, named);
    }

    private static void AddUnpacked(Renderer renderer, List<KeyValuePair<string, object>> named, object value)
    {
        if (value is not DictionaryValue dictionary)
        {
            throw TemplateException.Type($"argument after ** must be a mapping, not {TypeNames.Of(value)}");
        }

        foreach (var (key, item) in dictionary.Items)
        {
            renderer.Budget.Spend(1);
            Add(named, Text.Of(key) ?? throw TemplateException.Type("keywords must be strings"), item);
        }
    }

    private static void Add(List<KeyValuePair<string, object>> named, string name, object value)
    {
        if (named.Exists(argument => argument.Key == name))
        {
            throw TemplateException.Type($"got multiple values for keyword argument '{name}'");
        }

        named.Add(KeyValuePair.Create(name, value));
    }

    // Functions read their texts, so the length of the arguments counts and no call is free.
    private static void SpendText(Renderer renderer, List<object> values)
    {
        foreach (var value in values)
        {
            renderer.Budget.SpendCharacters(Text.Of(value)?.Length ?? 0);
        }
    }
}
