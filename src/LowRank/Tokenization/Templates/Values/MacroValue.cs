using LowRank.Tokenization.Templates.Nodes;
using LowRank.Tokenization.Templates.Runtime;

namespace LowRank.Tokenization.Templates.Values;

/// <summary>A macro, or the body of a call block, with the scope it was defined in.</summary>
internal sealed record MacroValue(MacroDefinition Definition, Scope Outer)
{
    /// <summary>Renders the macro.</summary>
    public string Call(Renderer renderer, Arguments arguments)
    {
        renderer.Budget.Enter();
        var line = renderer.Budget.Line;
        var scope = new Scope(Outer);
        var named = new DictionaryValue(renderer.Keys);
        foreach (var (name, value) in arguments.Named)
        {
            named.Items[name] = value;
        }

        var missing = SetParameters(scope, arguments, named);
        SetRest(scope, arguments, named);
        SetDefaults(renderer, scope, missing);
        var text = renderer.Capture(Definition.Body, scope, out _);
        renderer.Budget.Leave();
        renderer.Budget.Line = line;
        return text;
    }

    private List<MacroParameter> SetParameters(Scope scope, Arguments arguments, DictionaryValue named)
    {
        var missing = new List<MacroParameter>();
        for (var i = 0; i < Definition.Parameters.Count; i++)
        {
            var parameter = Definition.Parameters[i];
            if (i < arguments.Positional.Count)
            {
                scope.Set(parameter.Name, arguments.Positional[i]);
            }
            else if (named.Items.Remove(parameter.Name, out var value))
            {
                scope.Set(parameter.Name, value);
            }
            else
            {
                // A default may use parameters before it; those after it that were not given are undefined until then.
                scope.Set(parameter.Name, new UndefinedValue($"parameter '{parameter.Name}' was not provided"));
                missing.Add(parameter);
            }
        }

        return missing;
    }

    private void SetRest(Scope scope, Arguments arguments, DictionaryValue named)
    {
        if (Definition.UsesCaller && Definition.Parameters.All(parameter => parameter.Name != "caller"))
        {
            scope.Set("caller", named.Items.Remove("caller", out var body)
                ? body
                : new UndefinedValue("No caller defined"));
        }

        if (Definition.UsesNamedRest)
        {
            scope.Set("kwargs", named);
        }
        else if (named.Items.Count > 0)
        {
            throw TemplateFault.Type(
                $"macro '{Definition.Name}' takes no keyword argument '{Text.Of(named.Items.GetAt(0).Key)}'");
        }

        if (Definition.UsesPositionalRest)
        {
            scope.Set("varargs", new TupleValue([.. arguments.Positional.Skip(Definition.Parameters.Count)]));
        }
        else if (arguments.Positional.Count > Definition.Parameters.Count)
        {
            throw TemplateFault.Type(
                $"macro '{Definition.Name}' takes not more than {Definition.Parameters.Count} argument(s)");
        }
    }

    private static void SetDefaults(Renderer renderer, Scope scope, List<MacroParameter> missing)
    {
        var outer = renderer.Scope;
        renderer.Scope = scope;
        foreach (var parameter in missing)
        {
            if (parameter.Default is not null)
            {
                scope.Set(parameter.Name, parameter.Default.Evaluate(renderer));
            }
        }

        renderer.Scope = outer;
    }
}
